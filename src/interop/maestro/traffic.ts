/**
 * Words that one iteration of a level moves, from what its mapping holds and what of that was there before, in space
 * (a neighbour has it) or in time (the iteration before left it). After MAESTRO's reuse analysis (MICRO 2019, § 4).
 *
 * `counting` 'maestro' counts as the tool does, 'corrected' without its slips: an operand that an inner loop walks
 * through is loaded again when an outer loop that does not concern it moves on; rows that neighbours share are sent
 * once in every iteration; the last, incomplete chunk counts with its own size, wherever it is and whatever the size of
 * the level's work; a chunk's output is as many windows as fit it, a stride apart, those that neighbours add up once.
 */
import type { Case, DimState } from './cases.js';
import type { Counting, Level, LevelsOfLayer, Operand } from './levels.js';
import { WINDOW } from './levels.js';

/** Indices of one dimension at one place: all of them, and those that its neighbour or predecessor does not have. */
interface Share {
  readonly full: number;
  readonly full_new: number;
  readonly edge: number;
  readonly edge_new: number;
}

/** Which of the places: the first has nobody to share with, the ragged one holds less than the others. */
interface Place {
  readonly first: boolean;
  readonly ragged: boolean;
}
const FIRST: Place = { first: true, ragged: false };

export interface Traffic {
  /** Words into all places of the level, each once, however many places take it. */
  ingress(operand: Operand, c: Case): number;
  /** The same with a copy for each place that takes it. */
  copies(operand: Operand, c: Case): number;
  /** Words of output, or of parts of it, that leave. */
  egress(c: Case): number;
  /** Multiply–accumulates of all places. */
  macs(c: Case): number;
  /** Multiply–accumulates of the place with the most. */
  criticalMacs(c: Case): number;
  /** Words one place holds. */
  held(operand: Operand): number;
  activePlaces(c: Case): number;
  /** What a place is given to work on. */
  dimsBelow(c: Case, ragged: boolean): Map<string, number>;
}

export function trafficOf({ operands, stride }: LevelsOfLayer, level: Level, counting: Counting): Traffic {
  const { directives, places, dims } = level;
  const exact = counting === 'corrected';
  const inputs = new Map(directives.map((d) => [d.dim, inputShare(d)]));
  const outputs = new Map(directives.map((d) => [d.dim, outputShare(d.dim)]));
  const indexOf = new Map(directives.map((d, i) => [d.dim, i]));
  const spatial = directives.flatMap((d, i) => (d.kind === 'spatial' ? [i] : []));
  const lead = spatial[0]!;
  return {
    ingress: (operand, c) => overPlaces(c, spatialOf(operand), (p) => ingressOf(operand, c, p)),
    copies: (operand, c) => copiesOf(operand, c),
    egress: (c) => overPlaces(c, spatialOf('output'), (p) => made(c, p, false, true)),
    macs: (c) => overPlaces(c, spatial, (p) => made(c, p.ragged ? p : FIRST, true, false)),
    criticalMacs,
    held,
    activePlaces: activeOf,
    dimsBelow,
  };

  function inputShare({ dim, size, offset, kind }: Level['directives'][number]): Share {
    const n = dims.get(dim)!;
    const steady = Math.floor(Math.max(0, n - size) / offset);
    const has_edge = steady * offset + size < n || size > n;
    const left = n - (steady + 1) * offset;
    // an edge before which nothing is complete is all there is
    const edge = left < 0 || (exact && size > n) ? n : left;
    const full_new = Math.min(size, offset);
    if (exact && !has_edge) return { full: size, full_new, edge: size, edge_new: full_new };
    return {
      full: size,
      full_new: kind === 'temporal' && n <= size ? 0 : full_new,
      edge: has_edge ? edge : size,
      edge_new: Math.max(offset - (size - edge), 0),
    };
  }

  function outputShare(dim: string): Share {
    const rows = inputs.get(dim)!;
    const window = inputs.get(WINDOW[dim] ?? '');
    const directive = directives.find((d) => d.dim === dim)!;
    if (!window) return rows;
    const by = stride.get(dim) ?? 1;
    const windows = (n: number, of: number): number =>
      exact ? Math.max(0, Math.floor((n - of) / by) + 1) : n - of + 1;
    const full = windows(rows.full, window.full);
    const edge = windows(rows.edge, window.edge);
    const beside = directives.find((d) => d.dim === WINDOW[dim])!;
    // rows and the window's rows side by side: all places add to the same outputs
    const diagonal = directive.kind === 'spatial' && beside.kind === 'spatial';
    if (exact && diagonal) return { full, full_new: 0, edge, edge_new: 0 };
    const offset = exact ? Math.max(1, Math.floor(directive.offset / by)) : directive.offset;
    return {
      full,
      full_new: Math.min(offset, exact ? full : directive.size),
      edge,
      edge_new: Math.min(offset, edge),
    };
  }

  function held(operand: Operand): number {
    const shares = exact && operand === 'output' ? outputs : inputs;
    return operands[operand].reduce((product, dim) => {
      const share = shares.get(dim)!;
      return product * (exact && inputs.get(dim)!.full > dims.get(dim)! ? share.edge : share.full);
    }, 1);
  }

  function spatialOf(operand: Operand): number[] {
    return operands[operand].map((dim) => indexOf.get(dim)!).filter((i) => spatial.includes(i));
  }

  function activeOf(c: Case): number {
    return c.states[lead]!.partial ? edgePlaces(c.states[lead]!) : places;
  }
  /** Those at an edge; the tool leaves the ragged one out unless it is in the first round. */
  function edgePlaces(state: DimState): number {
    return level.edge_places + (exact && state.position === 'edge' && state.ragged ? 1 : 0);
  }

  /** Sum over the places that work; those of a dimension that does not divide them count once. */
  function overPlaces(c: Case, on: readonly number[], of: (place: Place) => number): number {
    const state = c.states[on[on.length - 1] ?? -1];
    if (!state) return of(FIRST);
    if (!on.some((i) => c.states[i]!.partial)) return of(FIRST) + (places - 1) * of({ first: false, ragged: false });
    const active = edgePlaces(state);
    if (active === 1) return of({ first: true, ragged: exact || state.ragged });
    const ragged = state.ragged ? 1 : 0;
    const others = Math.max(active - ragged - 1, 0);
    return of(FIRST) + others * of({ first: false, ragged: false }) + ragged * of({ first: false, ragged: true });
  }

  /** What a place holds of a dimension with all of its neighbours' share of it. */
  function heldAt(i: number, c: Case, place: Place): number {
    const share = inputs.get(directives[i]!.dim)!;
    const state = c.states[i]!;
    if (!state.partial) return share.full;
    if (directives[i]!.kind === 'temporal') return share.edge;
    if (edgePlaces(state) > 1) return place.ragged ? share.edge : share.full;
    return place.first || place.ragged ? share.edge : 1;
  }

  function ingressOf(operand: Operand, c: Case, place: Place): number {
    const own = operands[operand].map((dim) => indexOf.get(dim)!).sort((a, b) => a - b);
    const moving = c.states.findLastIndex((s) => s.position !== 'init');
    if (moving < 0 && !exact) return own.reduce((product, i) => product * heldAt(i, c, place), 1);
    // an inner loop of the operand begins again
    const again = own.some((i) => i > moving && c.states[i]!.position === 'init' && !c.states[i]!.unrolled);
    if (moving >= 0 && !own.includes(moving) && !(exact && again)) return 0;
    let words = 1;
    for (const i of own) {
      const share = inputs.get(directives[i]!.dim)!;
      const state = c.states[i]!;
      const changes = i === moving && !again;
      if (directives[i]!.kind === 'temporal') {
        const partial = exact ? state.partial : state.partial && state.position === 'init';
        const fresh = partial && exact ? share.edge_new : Math.max(share.full_new, 1);
        words *= changes ? fresh : partial ? share.edge : share.full;
        continue;
      }
      const shared = !place.first && (exact || (state.position === 'init' ? i > moving : changes));
      const { size, offset } = directives[i]!;
      // a round may begin within what the place had in the one before
      const kept = exact && changes && place.first ? Math.max(0, size - offset * places) : 0;
      const all = Math.max(0, (place.ragged ? share.edge : share.full) - kept);
      words *= shared ? (place.ragged ? share.edge_new : share.full_new) : all;
    }
    return words;
  }

  function copiesOf(operand: Operand, c: Case): number {
    const on = spatialOf(operand);
    if (on.length === 0) return activeOf(c) * ingressOf(operand, c, FIRST);
    return overPlaces(c, on, (p) => ingressOf(operand, c, { first: true, ragged: p.ragged }));
  }

  /** Outputs of a place; with `parts` its multiply–accumulates. `shared`: without those its neighbour also makes. */
  function made(c: Case, place: Place, parts: boolean, shared: boolean): number {
    let product = 1;
    const own = new Set(operands.output.map((dim) => indexOf.get(dim)!));
    directives.forEach(({ dim, kind }, i) => {
      const reduced = !own.has(i);
      if (reduced && !parts) return;
      const state = c.states[i]!;
      const share = reduced ? inputs.get(dim)! : outputs.get(dim)!;
      if (kind === 'temporal') product *= state.partial ? share.edge : share.full;
      else product *= madeInSpace(i, share, state, place, shared || reduced);
    });
    return product;
  }

  function madeInSpace(i: number, share: Share, state: DimState, place: Place, shared: boolean): number {
    const active = edgePlaces(state);
    const other = place.first ? share.full : share.full_new || (exact ? 0 : 1);
    if (state.position === 'init') {
      if (!state.partial || !place.ragged) return other;
      if (!operands.output.includes(directives[i]!.dim)) return share.edge;
      return active > 1 && shared ? share.edge_new : share.edge;
    }
    if (state.position === 'steady') return other;
    if (active === 1) {
      if (!place.first && !place.ragged) return 1;
      return exact ? share.edge : inputs.get(directives[i]!.dim)!.edge;
    }
    if (place.ragged) return exact && !shared ? share.edge : share.edge_new;
    return other;
  }

  function criticalMacs(c: Case): number {
    // the tool looks at what it reduces as though all places were full
    const on = exact ? spatial : spatialOf('output');
    const state = c.states[on[on.length - 1] ?? -1];
    const alone = !!state && on.some((i) => c.states[i]!.partial) && edgePlaces(state) === 1;
    return made(c, { first: true, ragged: alone && (exact || state.ragged) }, true, true);
  }

  function dimsBelow(c: Case, ragged: boolean): Map<string, number> {
    return new Map(
      directives.map(({ dim, kind }, i) => {
        const share = inputs.get(dim)!;
        const state = c.states[i]!;
        const edge = state.partial && (kind === 'temporal' || edgePlaces(state) === 1 || ragged);
        return [dim, edge ? share.edge : share.full];
      }),
    );
  }
}
