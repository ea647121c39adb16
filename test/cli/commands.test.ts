/** The commands on real input: what they print, and that --json is what its schema says. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands/index.js';
import { built, MAIN, run } from './spawn.js';

let home: string;
beforeAll(async () => {
  await built();
  home = mkdtempSync(join(tmpdir(), 'tilewright-cli-'));
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** stdout of a command that must succeed and say nothing on stderr. */
async function ok(...args: string[]): Promise<string> {
  const ran = await run(args, { cwd: home });
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return ran.stdout;
}

async function json(...args: string[]): Promise<unknown> {
  return JSON.parse(await ok(...args, '--json'));
}

const DECODE = ['-m', 'h100-sxm', '-w', 'gpt-2:decode,batch=1,context=128'];
const SECONDS = 60_000;

test(
  'explain --from lists the numbers that come from there, and nothing else',
  async () => {
    const text = await ok('explain', 'machine', '-m', 'h100-sxm', '--from', 'calibrated');
    expect(text).toContain('machine.launch.start');
    expect(text).not.toMatch(/^ +(datasheet|paper|measured|assumed):/m);
    const ran = await run(['explain', 'time_s', '-m', 'h100-sxm', '--from', 'paper'], { cwd: home });
    expect(ran).toMatchObject({ code: 2, stdout: '' });
  },
  SECONDS,
);

test(
  'bounds -m tells the boundaries of the machine, as its schema says',
  async () => {
    const shown = await json('bounds', 'softmax', '--shape', 'rows=512,cols=1024', '-m', 'h100-sxm');
    const schema = JSON.parse(await ok('schema', 'bounds'));
    expect(new Ajv({ strict: false }).validate(schema, shown)).toBe(true);
    expect(shown).toMatchObject({
      capacity_B: (227 + 256) * 1024,
      machine: { name: 'h100-sxm', boundaries: [{ boundary: 'dram | chip' }, { boundary: 'l2 | workgroup' }] },
    });
  },
  SECONDS,
);

test(
  'bounds -m takes a number format that the machine does, and says so',
  async () => {
    const ran = await run(['bounds', 'gemm', '--shape', 'm=64,n=64,k=64', '-m', 'tpu-v1', '--json']);
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('number format int8: tpu-v1 has no bf16') });
    // 64 × 64 of each operand, a byte each, and sums of four bytes
    expect(JSON.parse(ran.stdout)).toMatchObject({ dtype: 'int8', bound_B: (1 + 1 + 4) * 64 * 64 });
  },
  SECONDS,
);

test(
  'validate --measured with no row that can be predicted writes every row and its reason, and exits 3',
  async () => {
    const table = join(home, 'images.csv');
    const columns =
      'model_id,task,gpu_model,num_gpus,batch_size,batch_latency_s,avg_power_watts,energy_per_image_joules';
    const rest = 'energy_per_video_joules,image_height,image_width,video_height,video_width,num_frames,inference_steps';
    writeFileSync(table, `${columns},${rest}\nno/such,text-to-image,H100,1,1,1.1,600,700,,1024,1024,,,,20\n`);
    const rows = join(home, 'rows.csv');
    const ran = await run(['validate', '--measured', table, '-m', 'h100-sxm', '--rows', rows, '-q'], { cwd: home });
    expect(ran).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("no row was predicted: no shipped model is 'no/such'"),
    });
    expect(ran.stdout).not.toContain('mean error');
    expect(readFileSync(rows, 'utf8')).toMatch(/no shipped model is 'no\/such'\n$/);
  },
  SECONDS,
);

test(
  'validate --measured says when a table holds rows of several devices',
  async () => {
    const table = join(home, 'two.csv');
    const row = ',bmm,4,256,256,64,0.1,kernel,1,1,1,256\n';
    writeFileSync(table, `device,op,B,M,N,K,latency_ms,kernel,grid_x,grid_y,grid_z,block_x\none${row}two${row}`);
    const asked = ['validate', '--measured', table, '-m', 't4'];
    const [both, one] = await Promise.all([run(asked), run([...asked, '--device', 'two'])]);
    expect(both).toMatchObject({ code: 0, stderr: expect.stringContaining('rows of 2 devices') });
    expect(one.code).toBe(0);
    expect(one.stderr).not.toContain('devices');
  },
  SECONDS,
);

test(
  'bounds draws into the file of -o, by its ending, as other commands write reports',
  async () => {
    const page = join(home, 'bounds.html');
    const picture = join(home, 'bounds.png');
    const asked = ['bounds', 'fft', '--shape', 'n=4096', '--capacity', '16KiB', '--quiet'];
    expect(await ok(...asked, '-o', page)).toBe('');
    expect(readFileSync(page, 'utf8')).toContain('data-chart="io"');
    await ok(...asked, '-o', picture);
    expect(readFileSync(picture).subarray(1, 4).toString()).toBe('PNG');
  },
  SECONDS,
);

describe('help', () => {
  test(
    'names every command, and each command explains itself',
    async () => {
      const help = await ok('--help');
      for (const name of Object.keys(COMMANDS)) expect(help).toMatch(new RegExp(`^  ${name} `, 'm'));
      const texts = await Promise.all(Object.keys(COMMANDS).map((name) => ok(name, '--help')));
      texts.forEach((text, i) => {
        expect(text).toContain(`Usage: tilewright ${Object.keys(COMMANDS)[i]}`);
        expect(text).toMatch(/--out|Commands:/);
      });
    },
    SECONDS,
  );
  test('and the version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await ok('--version')).toBe(`${version}\n`);
  });
});

describe('--json is what its schema says', () => {
  test.each<[string, string[]]>([
    ['simulate', ['simulate', ...DECODE]],
    ['simulate', ['simulate', ...DECODE, '--fidelity', 'bound', '--launch', 'eager']],
    ['kernel', ['kernel', 'gemm', '-m', 'a100-sxm-80gb', '--shape', 'm=256,n=256,k=256']],
    ['report', ['report', ...DECODE]],
  ])(
    '%s',
    async (name, args) => {
      const schema = (await json('schema', name)) as object;
      const value = await json(...args);
      const validate = new Ajv({ strict: false }).compile(schema);
      expect(validate(value), JSON.stringify(validate.errors)).toBe(true);
    },
    SECONDS,
  );

  test(
    'and every schema is one',
    async () => {
      for (const { name } of (await json('schema')) as { name: string }[]) {
        const schema = (await json('schema', name)) as object;
        expect(() => new Ajv({ strict: false }).compile(schema)).not.toThrow();
      }
    },
    SECONDS,
  );
});

describe('simulate', () => {
  test(
    'text and JSON tell the same time; the parts sum to the whole',
    async () => {
      const run = (await json('simulate', ...DECODE)) as {
        time_s: number;
        energy_J: number;
        energy_by_part_J: Record<string, number>;
        ops: { time_s: number; repeat: number }[];
      };
      const sum = run.ops.reduce((s, op) => s + op.time_s * op.repeat, 0);
      expect(sum).toBeCloseTo(run.time_s, 12);
      expect(Object.values(run.energy_by_part_J).reduce((a, b) => a + b)).toBeCloseTo(run.energy_J, 9);
      expect(await ok('simulate', ...DECODE)).toContain(`${Number((run.time_s * 1e6).toPrecision(3))} µs`);
    },
    SECONDS,
  );

  test(
    '--set reaches machine and workload',
    async () => {
      const time = async (...set: string[]) =>
        ((await json('simulate', ...DECODE, ...set.flatMap((s) => ['--set', s]))) as { time_s: number }).time_s;
      const plain = await time();
      expect(await time('dram.bandwidth=1 TB/s')).toBeGreaterThan(plain);
      expect(await time('machine.dram.bandwidth=1 TB/s')).toBe(await time('dram.bandwidth=1 TB/s'));
      expect(await time('workload.layers=24')).toBeGreaterThan(1.5 * plain);
      expect(await time('workload.batch=64')).toBeGreaterThan(plain);
    },
    SECONDS,
  );

  test(
    'a written trace replays to the same result',
    async () => {
      const trace = join(home, 'decode.jsonl');
      await ok('trace', 'write', DECODE[3]!, '-o', trace);
      const { time_s, energy_J } = (await json('simulate', ...DECODE)) as Record<string, number>;
      expect(await json('simulate', '-m', 'h100-sxm', '--trace', trace)).toMatchObject({ time_s, energy_J });
    },
    SECONDS,
  );

  test(
    'a model that does not fit is a warning on stderr, the data stays on stdout',
    async () => {
      const ran = await run(['simulate', '-m', 't4', '-w', 'llama-2-13b:decode,batch=1,context=128', '--json']);
      expect(ran.code).toBe(0);
      expect(ran.stderr).toMatch(/warning: .* GiB too much/);
      expect(JSON.parse(ran.stdout).warnings).toHaveLength(1);
      const quiet = await run(['simulate', '-m', 't4', '-w', 'llama-2-13b:decode,batch=1,context=128', '--json', '-q']);
      expect(quiet.stderr).toBe('');
    },
    SECONDS,
  );

  test(
    '--out holds what stdout would, and is the same each time',
    async () => {
      const out = join(home, 'deep/er/out.json');
      await ok('simulate', ...DECODE, '-o', out);
      expect(readFileSync(out, 'utf8')).toBe(await ok('simulate', ...DECODE, '--json'));
      expect(readdirSync(join(home, 'deep/er'))).toEqual(['out.json']);
    },
    SECONDS,
  );
});

describe('kernel', () => {
  test(
    'takes a pinned tile and prints its program and nest',
    async () => {
      const args = ['kernel', 'gemm', '-m', 'h100-sxm', '--shape', 'm=512,n=512,k=512', '--tile', 'bm=128,bn=128'];
      expect(await json(...args)).toMatchObject({ kernel: 'gemm', tile: { bm: 128, bn: 128 } });
      expect(await ok(...args, '--emit', 'program')).toMatch(/gemm/);
      expect(await ok(...args, '--emit', 'nest')).toMatch(/for /);
      expect(await ok(...args, '--emit', 'wgsl')).toMatch(/@compute/);
    },
    SECONDS,
  );
});

describe('a timeline', () => {
  test(
    'of a kernel and of a replay opens as a trace whose slices of one track do not overlap',
    async () => {
      const gemm = ['kernel', 'gemm', '-m', 'h100-sxm', '--shape', 'm=256,n=256,k=256'];
      for (const args of [gemm, ['simulate', '-m', 'h100-sxm', '-w', 'gpt-2:decode,batch=1,context=64']]) {
        const out = join(home, 'timeline.json');
        await ok(...args, '--fidelity', 'event', '--timeline', out, '-q');
        const { traceEvents } = JSON.parse(readFileSync(out, 'utf8')) as {
          traceEvents: { ph: string; pid: number; tid: number; ts: number; dur: number }[];
        };
        const slices = traceEvents.filter((e) => e.ph === 'X');
        expect(slices.length).toBeGreaterThan(10);
        const ends = new Map<string, number>();
        for (const { pid, tid, ts, dur } of slices) {
          const track = `${pid}:${tid}`;
          expect(ts).toBeGreaterThanOrEqual((ends.get(track) ?? 0) - 1e-6);
          ends.set(track, ts + dur);
        }
      }
      const ran = await run([...gemm, '--timeline', join(home, 'never.json')]);
      expect(ran).toMatchObject({ code: 2, stderr: 'tilewright: --timeline needs --fidelity event\n' });
      expect(existsSync(join(home, 'never.json'))).toBe(false);
    },
    SECONDS,
  );
});

describe('pages', () => {
  test.each(['html', 'svg', 'png', 'md', 'json'])(
    'roofline and report write %s',
    async (format) => {
      for (const command of ['roofline', 'report']) {
        const out = join(home, `${command}.${format}`);
        await ok(command, ...DECODE, '-o', out, '-q');
        const bytes = readFileSync(out);
        const start = { html: '<!doctype html>', svg: '<svg', png: '\x89PNG', md: '# ', json: '{' }[format]!;
        expect(bytes.subarray(0, start.length).toString('latin1').toLowerCase()).toBe(start.toLowerCase());
      }
    },
    SECONDS,
  );
  test(
    'explain a field with its source',
    async () => {
      expect(await ok('explain', 'machine.dram.bandwidth', '-m', 'h100-sxm')).toMatch(
        /3\.35\d* TB\/s[\s\S]*NVIDIA H100/,
      );
    },
    SECONDS,
  );
});

describe('sweep', () => {
  const space = () => {
    const path = join(home, 'small.json');
    writeFileSync(
      path,
      JSON.stringify({
        name: 'small',
        base: { machine: 't4', workload: 'gpt-2:decode,batch=1,context=128' },
        axes: [
          { path: 'machine.sm.count', name: 'SMs', values: [20, 40] },
          {
            path: 'machine.dram.bandwidth',
            name: 'DRAM',
            range: { from: '100 GB/s', to: '400 GB/s', step: '100 GB/s' },
          },
          { path: 'mapping.gemm.bm', values: [64, 7] },
          { path: 'workload.layers', values: [2, 3] },
        ],
        constraints: ['SMs * DRAM <= 12e12', 'power_W < machine.tdp'],
        objectives: [
          { name: 'time', metric: 'time_s / produced', goal: 'min', unit: 's' },
          { name: 'energy_J', metric: 'energy_J', goal: 'min', unit: 'J' },
        ],
      }),
    );
    return path;
  };
  const rows = (folder: string) => readFileSync(join(home, folder, 'results.jsonl'), 'utf8');

  test(
    'gives the same bytes on one and on three workers, and resumes',
    async () => {
      const one = JSON.parse(
        (await run(['sweep', space(), '--run', 'one', '--jobs', '1', '--json'], { cwd: home })).stdout,
      );
      await run(['sweep', space(), '--run', 'three', '--jobs', '3'], { cwd: home });
      expect(rows('three') === rows('one')).toBe(true);
      const schema = (await json('schema', 'sweep')) as object;
      expect(new Ajv({ strict: false }).validate(schema, one)).toBe(true);
      // 7 rows of a tile is no legal value: half of the points that the constraint leaves
      expect(one).toMatchObject({ points: 32, of: 32, excluded: 4, failed: 14, ok: 14 });
      expect(one.front.length).toBeGreaterThan(0);

      const whole = rows('one');
      writeFileSync(join(home, 'one/results.jsonl'), whole.slice(0, 2000));
      const again = await run(['sweep', space(), '--run', 'one', '--json', '--csv', 'one.csv'], { cwd: home });
      expect(JSON.parse(again.stdout)).toEqual(one);
      expect(rows('one')).toBe(whole);
      expect(readFileSync(join(home, 'one.csv'), 'utf8').split('\r\n')).toHaveLength(34);
    },
    SECONDS,
  );

  test(
    'refuses a folder of another space',
    async () => {
      await run(['sweep', space(), '--run', 'other', '--points', '2'], { cwd: home });
      const ran = await run(['sweep', space(), '--run', 'other'], { cwd: home });
      expect(ran.code).toBe(2);
      expect(ran.stderr).toMatch(/holds another run: the search.* changed\. Start again with --fresh/);
    },
    SECONDS,
  );

  test.each([1, 2])(
    'Ctrl-C with %i workers exits 130 and keeps what there is',
    async (jobs) => {
      const folder = `stopped${jobs}`;
      const args = ['sweep', 'h100-neighbourhood', '--run', folder, '--jobs', String(jobs)];
      const ran = await run(args, {
        cwd: home,
        watch(kill) {
          const timer = setInterval(() => {
            if (!existsSync(join(home, folder, 'results.jsonl')) || rows(folder) === '') return;
            clearInterval(timer);
            kill('SIGINT');
          }, 20);
        },
      });
      expect(ran.code).toBe(130);
      expect(ran.stderr).toMatch(/stopped after \d+ of 144 points; they are kept in stopped/);
      expect(rows(folder)).toMatch(/\n$/);
      expect(existsSync(join(home, folder, '.lock'))).toBe(false);
    },
    SECONDS,
  );

  test(
    'explore draws the same points for the same seed',
    async () => {
      const args = (seed: string, folder: string) => [
        'explore',
        space(),
        '--points',
        '6',
        '--seed',
        seed,
        '--run',
        folder,
      ];
      await run(args('1', 'a'), { cwd: home });
      await run(args('1', 'b'), { cwd: home });
      await run(args('2', 'c'), { cwd: home });
      expect(rows('a')).toBe(rows('b'));
      expect(rows('a')).not.toBe(rows('c'));
      expect(rows('a').split('\n')).toHaveLength(7);
    },
    SECONDS,
  );
});

test('a reader that stops reading is no error', async () => {
  const child = spawn('bash', [
    '-c',
    `"${process.execPath}" "${MAIN}" schema report | head -c 10; echo "\${PIPESTATUS[0]}"`,
  ]);
  let out = '';
  child.stdout.on('data', (data) => (out += data));
  await new Promise((resolve) => child.on('close', resolve));
  expect(out).toMatch(/0\n$/);
});

test('no colour where nobody looks or NO_COLOR is set', async () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape itself
  const colour = /\x1b\[/;
  expect((await run(['list', 'kernels'], { env: { NO_COLOR: '1', FORCE_COLOR: '' } })).stdout).not.toMatch(colour);
  expect((await run(['list', 'kernels'], { env: { NO_COLOR: '', FORCE_COLOR: '1' } })).stdout).toMatch(colour);
});
