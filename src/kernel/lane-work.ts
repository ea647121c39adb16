/**
 * What lane groups do for each statement of a program: loads and stores by width, arithmetic, turns of loops that stay
 * loops, barriers. The shader's counters count the same accesses (test/kernel/lane-work.test.ts).
 */
import { bytesOf } from '../base/dtype.js';
import type { Node } from './barriers.js';
import type { Program, Stmt, Tile } from './ir.js';
import { blank, type Lanes, type LaneWork, StepCounter } from './lane-count.js';
import { fitBuffers, type LanePlan, lanePlan } from './lane-plan.js';
import { NO_SUBGROUPS } from './lanes.js';
import { readNarrow } from './stage.js';
import { type Step, stepsOf } from './steps.js';

/** One statement; a program's statements may stand in several places, and take other work in each. */
export interface WorkNode {
  /** Of a loop: what one of its turns takes besides its statements. */
  readonly work: LaneWork;
  /** Of a loop: before it is entered. */
  readonly before: LaneWork | undefined;
  readonly body: readonly WorkNode[];
}

export interface ProgramWork {
  /** Lane groups of a workgroup. */
  readonly groups: number;
  /** In the order of the program's body. */
  readonly body: readonly WorkNode[];
}

const known = new WeakMap<Program, ProgramWork & { readonly lanes: number; readonly machine: Lanes }>();

export function programWork(program: Program, lanes: number, machine: Lanes): ProgramWork {
  const { group, workgroup_B, bytes } = machine;
  const old = known.get(program);
  const alike = (m: Lanes) => m.group === group && m.workgroup_B === workgroup_B && m.bytes === bytes;
  if (old && old.lanes === lanes && alike(old.machine)) return old;
  const narrow = bytes ? readNarrow(program) : { program, dropped: [] };
  const plan = roomIn(lanePlan(narrow.program, lanes, NO_SUBGROUPS), workgroup_B);
  const nodes = joined(counted(stepsOf(plan), false, plan, group, new StepCounter(plan, machine)), plan);
  const body = narrow.dropped.length > 0 ? withBlanks(nodes, program.body, new Set(narrow.dropped)) : nodes;
  const work = { groups: Math.ceil(lanes / group), body, lanes, machine };
  known.set(program, work);
  return work;
}

/** Nothing to do where the statements stand that fill tiles which are not made. */
function withBlanks(nodes: readonly WorkNode[], stmts: readonly Stmt[], dropped: ReadonlySet<Tile>): WorkNode[] {
  const rest = nodes.values();
  return stmts.map((s): WorkNode => {
    if (s.kind === 'map' && dropped.has(s.out)) return { work: blank(false), before: undefined, body: [] };
    const n = rest.next().value!;
    return s.kind === 'loop' ? { ...n, body: withBlanks(n.body, s.body, dropped) } : n;
  });
}

function roomIn(plan: LanePlan, workgroup_B: number): LanePlan {
  const size = (t: Tile): number => Math.ceil((t.rows * t.cols * bytesOf(t.dtype)) / 16) * 16;
  const used = plan.program.tiles.reduce((n, t) => n + (t.level === 'shared' && !t.part ? size(t) : 0), 0);
  return { ...plan, buffers: fitBuffers(plan, size, used, workgroup_B).buffers };
}

interface Counted extends WorkNode {
  readonly stmt: Stmt;
  readonly body: readonly Counted[];
}

/** Copies that were added before an mma are part of it. */
function joined(nodes: readonly Counted[], plan: LanePlan): WorkNode[] {
  const out: WorkNode[] = [];
  let parts: LaneWork[] = [];
  for (const n of nodes) {
    parts.push(n.work);
    if (plan.added.has(n.stmt)) continue;
    out.push({ work: merged(parts), before: n.before, body: joined(n.body, plan) });
    parts = [];
  }
  return out;
}

function merged(parts: readonly LaneWork[]): LaneWork {
  if (parts.length === 1) return parts[0]!;
  const out = blank(parts[0]!.meeting);
  for (const p of parts) {
    for (const key of ['near_loads', 'near_stores', 'far_loads', 'far_stores'] as const) {
      out[key].one += p[key].one;
      out[key].four += p[key].four;
    }
    for (const key of ['atomics', 'turns', 'places', 'divisions', 'barriers'] as const) out[key] += p[key];
    out.math.push(...p.math);
  }
  return out;
}

function counted(
  nodes: readonly Node<Step>[],
  around: boolean,
  plan: LanePlan,
  group: number,
  counter: StepCounter,
): Counted[] {
  const out: Counted[] = [];
  for (const n of nodes) {
    if (n.kind === 'loop') {
      const meeting = around || hasBarrier(n.body);
      const turn = blank(meeting);
      turn.turns = Math.ceil(plan.lanes / group);
      const before = n.barrier ? { ...blank(around), barriers: 1 } : undefined;
      out.push({ stmt: n.loop, work: turn, before, body: counted(n.body, meeting, plan, group, counter) });
      continue;
    }
    // the steps of a reduction are one statement's
    if (n.part === 0) out.push({ stmt: n.stmt, work: blank(around), before: undefined, body: [] });
    const { work } = out.at(-1)!;
    if (n.barrier) work.barriers++;
    counter.count(n, work);
  }
  return out;
}

const hasBarrier = (nodes: readonly Node<Step>[]): boolean =>
  nodes.some((n) => n.barrier || (n.kind === 'loop' && hasBarrier(n.body)));
