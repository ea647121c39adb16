/// <reference types="@webgpu/types" />
/** Adapters and devices of any WebGPU: Dawn's in Node, `navigator.gpu` in a browser. Nothing here is Node's. */
import { DeviceError, lostDevice, noAdapter } from './errors.js';
import type { AdapterInfo } from './job.js';

/** A device with all the features kernels can use, at the adapter's own limits. Keeps everything it came from alive. */
export interface OpenDevice {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  readonly device: GPUDevice;
  readonly info: AdapterInfo;
  /** Resolves when the device is lost other than by `close`. */
  readonly lost: Promise<DeviceError>;
  close(): Promise<void>;
}

/** Dawn's own, behind the toggle allow_unsafe_apis. */
export const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix';
const WANTED = ['timestamp-query', 'shader-f16', 'subgroups', SUBGROUP_MATRIX] as const;

/** Throws DeviceError: no-adapter, or what the device's creation failed with. */
export async function openDevice(gpu: GPU, options: GPURequestAdapterOptions = {}): Promise<OpenDevice> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance', ...options });
  if (!adapter) throw noAdapter();
  const info = adapterInfo(gpu, adapter);
  const features = WANTED.filter((f) => info.features.includes(f)) as GPUFeatureName[];
  const device = await adapter
    .requestDevice({ requiredFeatures: features, requiredLimits: info.limits })
    .catch((e: Error) => {
      throw new DeviceError('internal', `the adapter ${info.name} gives no device: ${e.message}`);
    });
  let closing = false;
  const lost = new Promise<DeviceError>((resolve) => {
    device.lost.then(({ reason, message }) => {
      if (!closing) resolve(lostDevice(reason, message));
    });
  });
  return {
    gpu,
    adapter,
    device,
    info,
    lost,
    async close() {
      closing = true;
      await device.queue.onSubmittedWorkDone().catch(() => {});
      device.destroy();
    },
  };
}

export function adapterInfo(gpu: GPU, adapter: GPUAdapter): AdapterInfo {
  const { info } = adapter;
  const limits: Record<string, number> = {};
  for (const key in adapter.limits) {
    const value = (adapter.limits as unknown as Record<string, unknown>)[key];
    if (typeof value === 'number') limits[key] = value;
  }
  const extra = info as GPUAdapterInfo & {
    subgroupMinSize?: number;
    subgroupMaxSize?: number;
    isFallbackAdapter?: boolean;
    subgroupMatrixConfigs?: readonly {
      readonly M: number;
      readonly N: number;
      readonly K: number;
      readonly componentType: string;
      readonly resultComponentType: string;
    }[];
  };
  const subgroups = adapter.features.has('subgroups');
  return {
    name: info.description || info.device || info.vendor || 'unnamed adapter',
    vendor: info.vendor,
    architecture: info.architecture,
    fallback: extra.isFallbackAdapter ?? info.architecture === 'software',
    features: [...adapter.features].sort(),
    language_features: [...gpu.wgslLanguageFeatures].sort(),
    limits,
    subgroup_matrix: adapter.features.has(SUBGROUP_MATRIX)
      ? (extra.subgroupMatrixConfigs ?? []).map((c) => ({
          m: c.M,
          n: c.N,
          k: c.K,
          operand: c.componentType,
          result: c.resultComponentType,
        }))
      : [],
    subgroup: subgroups ? [extra.subgroupMinSize ?? 0, extra.subgroupMaxSize ?? 0] : [0, 0],
  };
}

/** The distinct adapters that this WebGPU offers, the preferred one first; none: an empty list. */
export async function listAdapters(gpu: GPU): Promise<AdapterInfo[]> {
  const wishes: GPURequestAdapterOptions[] = [
    { powerPreference: 'high-performance' },
    { powerPreference: 'low-power' },
    { forceFallbackAdapter: true },
  ];
  const found = new Map<string, AdapterInfo>();
  for (const wish of wishes) {
    const adapter = await gpu.requestAdapter(wish).catch(() => null);
    if (!adapter) continue;
    const info = adapterInfo(gpu, adapter);
    const key = `${info.vendor}|${info.name}`;
    if (!found.has(key)) found.set(key, info);
  }
  return [...found.values()];
}
