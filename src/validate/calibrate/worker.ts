/** One worker of a calibration's crew: what piscina calls; its setup comes as workerData. */
import { workerData } from 'node:worker_threads';
import { unpack } from '../../machine/pack.js';
import { type Crew, localCrew, type Setup, type Task } from './crew.js';
import { samplesOf } from './samples.js';

let crew: Crew | undefined;

export default function run(task: Task): Promise<unknown> {
  if (!crew) {
    const { machine, tables } = workerData as Setup;
    crew = localCrew(unpack(machine), samplesOf(tables).samples);
  }
  switch (task[0]) {
    case 'map':
      return crew.map(task[1], task[2], task[3]);
    case 'forget':
      return crew.forget(task[1]);
    case 'residuals':
      return crew.residuals(task[1], task[2]);
    case 'predict':
      return crew.predict(task[1], task[2]);
  }
}
