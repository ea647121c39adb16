import { expect, test } from 'vitest';
import { listMachines, openMachine } from '../../src/cli/files.js';

test.each(listMachines())('%s loads', async (name) => {
  const machine = await openMachine(name);
  expect(machine.name).toBe(name);
});
