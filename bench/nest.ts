/** Nests worked out per second of one core by the search, on a convolution over an Eyeriss-like array. */
import { searchNest } from '../src/engine/nest/search.js';
import { kernelByName } from '../src/kernel/library/index.js';
import { opCascade } from '../src/kernel/op-cascade.js';
import { parseShape } from '../src/kernel/shape.js';
import type { ResourceGraph } from '../src/machine/graph.js';

export function nestBench(graph: ResourceGraph): { name: string; per_s: number }[] {
  const out: { name: string; per_s: number }[] = [];
  for (const [kernel, shape] of [
    ['conv2d', 'batch=1,in_channels=128,out_channels=256,height=56,width=56,kernel=3,padding=1'],
    ['gemm', 'm=1024,n=1024,k=1024'],
  ] as const) {
    const k = kernelByName(kernel);
    const cascade = opCascade(k.toOp(parseShape(shape, k.shape), 'int8'))!;
    const run = (evaluations: number) =>
      searchNest(cascade, cascade.einsums[0]!, graph, graph.arrays![0]!.unit, { evaluations });
    run(5000);
    const start = process.cpuUsage();
    const { tried } = run(100_000);
    out.push({ name: kernel, per_s: (tried / process.cpuUsage(start).user) * 1e6 });
  }
  return out;
}
