/** `tilewright schema [NAME]`: JSON Schemas of what is read and of what --json prints. */
import type { TSchema } from '@sinclair/typebox';
import type { Command } from 'commander';
import { unknownName } from '../../base/errors.js';
import { BoundsSchema, CompositionSchema, FrontierSchema } from '../../bounds/result.js';
import { DramTableSchema } from '../../engine/memory/dram/table.js';
import { MemoryReportSchema } from '../../engine/memory/report.js';
import { KernelSimulationSchema, SimulationSchema } from '../../engine/simulation.js';
import { SpaceSchema } from '../../explore/space.js';
import { SummarySchema } from '../../explore/summary.js';
import { MaestroSchema } from '../../interop/maestro/simulate.js';
import { ScaleSimSchema } from '../../interop/scalesim/simulate.js';
import { TimeloopSchema } from '../../interop/timeloop/simulate.js';
import { NestSchema } from '../../kernel/nest.js';
import { FAMILIES } from '../../machine/family.js';
import { fileSchemaOf } from '../../machine/quantity.js';
import { ReportSchema } from '../../report/model.js';
import { ClaimSchema, ReproduceSchema } from '../../validate/claim-schema.js';
import { DeviceReportSchema } from '../../validate/device/report.js';
import { TransformerSchema } from '../../workload/model.js';
import { OpSchemas } from '../../workload/op.js';
import { TraceHeaderSchema } from '../../workload/trace.js';
import { type CommonOptions, common } from '../options.js';
import { emit, jsonText } from '../output.js';
import { plainTable } from '../style.js';
import { ArraySchema } from './array.js';

interface Entry {
  readonly what: string;
  schema(): TSchema | object;
}

const SCHEMAS: Readonly<Record<string, Entry>> = {
  ...Object.fromEntries(
    Object.entries(FAMILIES).map(([family, { schema }]) => [
      `machine-${family}`,
      { what: `file of a machine of the ${family} family`, schema: () => fileSchemaOf(schema) },
    ]),
  ),
  model: { what: 'file of a transformer', schema: () => TransformerSchema },
  'trace-header': { what: 'first line of a trace', schema: () => TraceHeaderSchema },
  op: { what: 'the other lines of a trace', schema: () => ({ anyOf: Object.values(OpSchemas) }) },
  claim: { what: 'file of a claim', schema: () => ClaimSchema },
  space: { what: 'file of a design space', schema: () => SpaceSchema },
  dram: { what: 'file of a DRAM table', schema: () => fileSchemaOf(DramTableSchema) },
  memory: { what: 'memory --json', schema: () => MemoryReportSchema },
  simulate: { what: 'simulate --json', schema: () => SimulationSchema },
  kernel: { what: 'kernel --json', schema: () => KernelSimulationSchema },
  'kernel-scale-sim': { what: 'kernel --from CONFIG --topology LAYERS --json', schema: () => ScaleSimSchema },
  'kernel-maestro': { what: 'kernel --from NETWORK.m --hardware FILE.m --json', schema: () => MaestroSchema },
  'kernel-timeloop': { what: "kernel --from of Timeloop's input --json", schema: () => TimeloopSchema },
  nest: { what: 'file of a loop nest', schema: () => NestSchema },
  validate: { what: 'validate --json, on the device', schema: () => DeviceReportSchema },
  sweep: { what: 'sweep --json and explore --json', schema: () => SummarySchema },
  bounds: { what: 'bounds --json', schema: () => BoundsSchema },
  'bounds-frontier': { what: 'bounds --frontier --json', schema: () => FrontierSchema },
  'bounds-workload': { what: 'bounds --workload --json', schema: () => CompositionSchema },
  array: { what: 'array --json', schema: () => ArraySchema },
  reproduce: { what: 'reproduce --json', schema: () => ReproduceSchema },
  report: { what: 'report -o FILE.json', schema: () => ReportSchema },
};

export function define(command: Command): void {
  const names = Object.keys(SCHEMAS);
  common(command)
    .argument('[name]', names.join(', '))
    .action(async (name: string | undefined, options: CommonOptions) => {
      if (name === undefined) {
        const entries = names.map((key) => ({ name: key, what: SCHEMAS[key]!.what }));
        const text = () =>
          plainTable(
            ['Name', 'Of'],
            entries.map((e) => [e.name, e.what]),
          );
        return emit(options, { json: () => entries, text });
      }
      if (!Object.hasOwn(SCHEMAS, name)) throw unknownName('schema', name, names);
      const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...SCHEMAS[name]!.schema() };
      await emit(options, { json: () => schema, text: () => jsonText(schema) });
    });
}
