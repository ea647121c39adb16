/**
 * A tile program as a WGSL compute shader.
 *
 *   program → bytes stay bytes → stage operands of mma → lay register tiles on lanes → choose vec4 arrays and double buffers
 *           → one node per statement (more where lanes meet) → barriers → text
 *
 * Shared tiles become workgroup arrays, register tiles each lane's own array, statements work spread over the
 * workgroup; a grid point is a workgroup. Copies block (WGSL has no asynchronous ones); a tile with several stages
 * gets two buffers, so that one barrier per iteration is enough. Counting (see count.ts) adds nothing but counters.
 */
import { InfeasibleError } from '../../base/errors.js';
import type { Node } from '../../kernel/barriers.js';
import { checkProgram } from '../../kernel/check.js';
import { isTile, type Tensor, type Tile } from '../../kernel/ir.js';
import type { Launch } from '../../kernel/kernel.js';
import { fitBuffers, forEachStmt, lanePlan } from '../../kernel/lane-plan.js';
import { NO_SUBGROUPS } from '../../kernel/lanes.js';
import { packedMemory } from '../../kernel/packed.js';
import { readNarrow } from '../../kernel/stage.js';
import { type Step, sharedTensors, stepsOf } from '../../kernel/steps.js';
import { gridOf } from './dispatch.js';
import { emitStep, forScratch, tensorsOf } from './lower.js';
import { checkMatrices, declareMatrices, matrixRegions, matrixSteps, wholeOf } from './matrix.js';
import { type Binding, DEFAULT_LIMITS, type EmitOptions, type ShaderText } from './options.js';
import { HELPERS } from './packing.js';
import { refuseForeign } from './refuse.js';
import { type Plan, Shader } from './shader.js';
import { STORED_B, substitution } from './types.js';

/** Throws InputError on an ill-formed program, InfeasibleError where the device's limits are too small for it. */
export function emitWgsl(launch: Launch, options: EmitOptions = {}): ShaderText {
  refuseForeign(launch.program);
  checkProgram(launch.program);
  const limits = { ...DEFAULT_LIMITS, ...options };
  const lanes = Math.min(launch.mapping.lanes, limits.max_lanes);
  const notes: string[] = [];
  if (lanes < launch.mapping.lanes) notes.push(`${launch.mapping.lanes} lanes are run as ${lanes}`);
  const narrow = options.dot4 && options.packed !== false ? readNarrow(launch.program) : undefined;
  for (const t of narrow?.dropped ?? [])
    notes.push(`${t.name} is not made: the bytes it widens are multiplied as they are`);
  const laid = lanePlan(narrow?.program ?? launch.program, lanes, options.subgroup ?? NO_SUBGROUPS);
  const plan: Plan = {
    ...laid,
    f16: options.f16 === true,
    counting: options.counting === true,
    compact: options.compact === true,
    packed: options.packed === false ? new Map() : packedMemory(laid.program, laid.vec, laid.atomic),
    dot4: options.dot4 === true,
    matrix: options.matrix,
    regions: options.matrix ? matrixRegions(laid.program) : new Map(),
  };
  if (plan.matrix) checkMatrices(new Shader(plan), plan.program.body, plan.matrix);
  const fitted = roomFor(plan, limits.workgroup_B, notes);
  return assemble(fitted.plan, launch.mapping.panel, fitted.workgroup_B, limits, notes);
}

/** Accumulators that are held as matrices. */
const accumulatorsOf = (plan: Plan): ReadonlySet<Tile> => new Set([...plan.regions.values()].flat());

/** The plan with as many double buffers as workgroup memory has room for. */
function roomFor(plan: Plan, workgroup_B: number, notes: string[]): { plan: Plan; workgroup_B: number } {
  const sh = new Shader(plan);
  const shared = plan.program.tiles.filter((t) => t.level === 'shared' && !t.part);
  const size = (t: Tile): number => Math.ceil((t.rows * t.cols * STORED_B[sh.stored(t)]) / 16) * 16;
  let used = shared.reduce((n, t) => n + size(t), 0);
  forScratch(sh, (elements) => {
    used += elements * STORED_B.f32;
  });
  for (const t of accumulatorsOf(plan)) used += t.rows * t.cols * STORED_B.f32;
  if (used > workgroup_B)
    throw new InfeasibleError(
      `${plan.program.name} needs ${used} B of workgroup memory, the device has ${workgroup_B} B; choose smaller tiles`,
    );
  const { buffers, total_B, left } = fitBuffers(plan, size, used, workgroup_B);
  for (const t of left)
    notes.push(`${t.name} has one buffer for its ${t.stages} stages: workgroup memory has no room for two`);
  return { plan: { ...plan, buffers }, workgroup_B: total_B };
}

function assemble(
  plan: Plan,
  panel: number,
  workgroup_B: number,
  limits: { readonly max_workgroups: number; readonly storage_buffers: number },
  notes: string[],
): ShaderText {
  const { program, lanes } = plan;
  const sh = new Shader(plan);
  const nodes = stepsOf(plan, plan.matrix && ((s, inner, body, i) => matrixSteps(plan, s, inner, body, i)));
  const tracked = sharedTensors(program);
  let barriers = 0;
  const write = (list: readonly Node<Step>[]): void => {
    for (const n of list) {
      if (n.barrier) {
        barriers++;
        sh.line('workgroupBarrier();');
        if (tracked.size > 0) sh.line('storageBarrier();');
      }
      if (n.kind === 'work') emitStep(sh, n);
      else {
        const { index, from, to } = n.loop;
        const name = sh.name(index);
        sh.block(`for (var ${name} = ${sh.expr(from)}; ${name} < ${sh.expr(to)}; ${name}++)`, () =>
          sh.within(index, () => write(n.body)),
        );
      }
    }
  };
  const { workgroups, decode } = gridOf(sh, program, limits.max_workgroups, panel);
  for (const d of decode) sh.line(d);
  for (const t of program.tiles) {
    if (t.level !== 'register') continue;
    const { rows, cols } = sh.share(t);
    const type = sh.type(t);
    sh.line(`var ${sh.name(t)}: ${rows * cols === 1 ? type : `array<${type}, ${rows * cols}>`};`);
  }
  for (const t of accumulatorsOf(plan)) declareMatrices(sh, t);
  const start = sh.lines.length;
  write(nodes);
  const counters = [...sh.counters.keys()];
  sh.lines.splice(start, 0, ...counters.map((_, i) => `  var n${i} = 0u;`));
  for (const [i, what] of counters.entries()) sh.line(`atomicAdd(&counters[${i}], n${i}); // ${what}`);

  const used = tensorsOf(program);
  const bindings: Binding[] = program.tensors
    .filter((t) => used.has(t))
    .map((t) => ({
      name: t.name,
      type: sh.stored(t),
      elements: storageElements(t),
      tensor: t,
    }));
  const tables = [...sh.tables.keys()].flatMap((t) => t.values);
  if (tables.length > 0) bindings.push({ name: 'tables', type: 'i32', elements: tables.length });
  if (counters.length > 0) bindings.push({ name: 'counters', type: 'i32', elements: counters.length });
  if (bindings.length > limits.storage_buffers)
    throw new InfeasibleError(
      `${program.name} needs ${bindings.length} buffers, the device binds ${limits.storage_buffers} per shader`,
    );
  for (const x of [...program.tensors, ...program.tiles]) {
    if ('level' in x && x.level === 'register') continue;
    const note = substitution(x.dtype, sh.stored(x));
    if (note && !notes.includes(note)) notes.push(note);
  }

  const head = headOf(sh, bindings, notes, lanes);
  return {
    wgsl: `${[...head, ...sh.lines, '}'].join('\n')}\n`,
    entry: 'main',
    lanes,
    workgroups,
    bindings,
    tables,
    counters,
    workgroup_B,
    barriers,
    notes,
  };
}

/** Everything above the body: directives, bindings, workgroup memory, helpers, the entry point. */
function headOf(sh: Shader, bindings: readonly Binding[], notes: readonly string[], lanes: number): string[] {
  const { plan } = sh;
  const { program } = plan;
  const written = new Set<Tensor>();
  forEachStmt(program.body, (s) => {
    if ((s.kind === 'copy' || s.kind === 'scatter') && !isTile(s.to)) written.add(s.to.tensor);
  });
  const head: string[] = [`// ${program.name}`, ...notes.map((n) => `// ${n}`)];
  const types = new Set([...program.tensors, ...program.tiles].map((x) => sh.type(x)));
  if (types.has('f16')) head.push('enable f16;');
  const subgroups = sh.lines.some((l) => /\bsubgroup[A-Z]/.test(l));
  if (sh.plan.matrix && plan.regions.size > 0) head.push('enable chromium_experimental_subgroup_matrix;');
  if (subgroups) head.push('enable subgroups;', 'requires subgroup_id;');
  head.push('');
  for (const [i, b] of bindings.entries()) {
    const access = b.tensor
      ? written.has(b.tensor) || plan.atomic.has(b.tensor)
        ? 'read_write'
        : 'read'
      : b.name === 'counters'
        ? 'read_write'
        : 'read';
    const element = !b.tensor
      ? b.name === 'counters'
        ? 'atomic<u32>'
        : 'i32'
      : plan.atomic.has(b.tensor)
        ? `atomic<${b.type === 'i32' ? 'i32' : 'u32'}>`
        : plan.packed.has(b.tensor)
          ? 'u32'
          : sh.isVec(b.tensor)
            ? `vec4<${b.type}>`
            : b.type;
    const shape = b.tensor ? ` // ${b.tensor.dtype}[${b.tensor.dims.join(', ')}]` : '';
    const name = b.tensor ? sh.name(b.tensor) : b.name;
    head.push(`@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<${element}>;${shape}`);
  }
  head.push('');
  for (const t of program.tiles) {
    if (t.level !== 'shared' || t.part) continue;
    const copies = plan.buffers.has(t) ? 2 : 1;
    const n = t.rows * t.cols * copies;
    const type = sh.type(t);
    const array = plan.packed.has(t)
      ? `array<u32, ${n / 4}>`
      : sh.isVec(t)
        ? `array<vec4<${type}>, ${n / 4}>`
        : `array<${type}, ${n}>`;
    head.push(`var<workgroup> ${sh.name(t)}: ${array}; // [${t.rows}, ${t.cols}]${copies > 1 ? ' × 2 buffers' : ''}`);
  }
  forScratch(sh, (elements, name, type) => head.push(`var<workgroup> ${name}: array<${type}, ${elements}>;`));
  for (const t of accumulatorsOf(plan))
    head.push(`var<workgroup> ${wholeOf(sh, t)}: array<f32, ${t.rows * t.cols}>; // [${t.rows}, ${t.cols}]`);
  for (const [name, text] of Object.entries(HELPERS))
    if (sh.lines.some((l) => l.includes(`${name}(`))) head.push('', ...text);
  if (sh.helpers.has('floor_div'))
    head.push(
      '',
      'fn floor_div(a: i32, b: i32) -> i32 {',
      '  let q = a / b;',
      '  return select(q, q - 1, a % b != 0 && ((a < 0) != (b < 0)));',
      '}',
    );
  const hidden = sh.lines.some((l) => / \+ none;/.test(l));
  head.push(
    '',
    `@compute @workgroup_size(${lanes})`,
    `fn main(${[
      '@builtin(workgroup_id) wid: vec3<u32>',
      ...(subgroups ? SUBGROUP_INPUTS : ['@builtin(local_invocation_index) lane_id: u32']),
      ...(hidden ? ['@builtin(num_workgroups) nwg: vec3<u32>'] : []),
    ].join(', ')}) {`,
    // numbered along subgroups, because nothing is said of how else lanes lie in them; all are full (see planReduce)
    subgroups ? '  let lane = i32(subgroup_number * subgroup_lanes + subgroup_lane);' : '  let lane = i32(lane_id);',
    ...(hidden ? ['  let none = i32(nwg.z >> 31u); // 0, which no compiler can know'] : []),
  );
  return head;
}

const SUBGROUP_INPUTS = [
  '@builtin(subgroup_id) subgroup_number: u32',
  '@builtin(subgroup_size) subgroup_lanes: u32',
  '@builtin(subgroup_invocation_id) subgroup_lane: u32',
] as const;

/** Elements from the first to the last of a tensor as it lies in memory, a whole number of vectors and of words. */
export function storageElements(t: Tensor): number {
  const strides = t.strides;
  const last = strides
    ? t.dims.reduce((n, d, i) => n + (d - 1) * strides[i]!, 0) + 1
    : t.dims.reduce((a, b) => a * b, 1);
  return Math.ceil(last / 8) * 8;
}
