/** The same bytes by three ways: interpreted, counted on the device by its own shader, and as the engine has them. */
import type { RunResult, Traffic } from '../../engine/types.js';
import type { Interpretation } from '../../kernel/interpret.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { DeviceCounts } from '../../webgpu/program.js';

export interface ByteCount {
  readonly read_B: number;
  readonly write_B: number;
}
/** Global memory and workgroup memory, all launches of a case together. */
export interface ByteCounts {
  readonly global: ByteCount;
  readonly shared: ByteCount;
}
export interface BytesResult {
  readonly interpreter: ByteCounts;
  readonly engine: ByteCounts;
  /** Absent where nothing was counted. */
  readonly device?: ByteCounts;
  readonly equal: boolean;
  /** The first difference in words. */
  readonly difference?: string;
}

export function compareBytes(
  interpreted: readonly Interpretation[],
  predicted: readonly RunResult[],
  machine: ResourceGraph,
  counted: readonly DeviceCounts[] | undefined,
): BytesResult {
  const interpreter = {
    global: sum(interpreted.map((i) => i.requested_B.level.global)),
    shared: sum(interpreted.map((i) => i.requested_B.level.shared)),
  };
  const home = machine.stores.find((s) => s.role === 'home')!.id;
  const near = machine.stores.find((s) => s.id === 'shared')?.id;
  const at = (id: string | undefined) => sum(predicted.map((r) => (id ? r.requested_B[id] : undefined) ?? NONE));
  // a machine without a store for shared tiles says nothing of them
  const engine = { global: at(home), shared: near ? at(near) : interpreter.shared };
  const device = counted && {
    global: sum(counted.flatMap((c) => Object.values(c.tensor))),
    shared: sum(counted.flatMap((c) => Object.values(c.tile))),
  };
  const difference =
    firstDifference('engine', engine, interpreter) ??
    (device && firstDifference('device', device, interpreter)) ??
    (counted && tensorDifference(interpreted, counted));
  return {
    interpreter,
    engine,
    ...(device && { device }),
    equal: difference === undefined,
    ...(difference && { difference }),
  };
}

const NONE: Traffic = { read_B: 0, write_B: 0 };

const sum = (parts: readonly ByteCount[]): ByteCount => ({
  read_B: parts.reduce((n, p) => n + p.read_B, 0),
  write_B: parts.reduce((n, p) => n + p.write_B, 0),
});

function firstDifference(who: string, got: ByteCounts, expected: ByteCounts): string | undefined {
  for (const where of ['global', 'shared'] as const)
    for (const way of ['read_B', 'write_B'] as const)
      if (got[where][way] !== expected[where][way])
        return `the ${who} ${way === 'read_B' ? 'reads' : 'writes'} ${got[where][way]} B of ${where} memory, the interpreter ${expected[where][way]} B`;
  return undefined;
}

function tensorDifference(
  interpreted: readonly Interpretation[],
  counted: readonly DeviceCounts[],
): string | undefined {
  for (const [i, { requested_B }] of interpreted.entries())
    for (const [name, { read_B, write_B }] of Object.entries(requested_B.tensor)) {
      const c = counted[i]?.tensor[name];
      if (c?.read_B !== read_B || c.write_B !== write_B)
        return `the device moves ${c?.read_B} + ${c?.write_B} B of ${name}, the interpreter ${read_B} + ${write_B} B`;
    }
  return undefined;
}
