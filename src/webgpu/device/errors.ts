/// <reference types="@webgpu/types" />
/** What can go wrong on a device, in words a user can act on. */
import { TilewrightError } from '../../base/errors.js';

export const DEVICE_ERRORS = [
  'no-adapter',
  'no-package',
  'shader',
  'validation',
  'out-of-memory',
  'lost',
  'timeout',
  'crashed',
  'internal',
] as const;
export type DeviceErrorKind = (typeof DEVICE_ERRORS)[number];

/** Exit code 2 where the user's machine or shader is at fault, 1 where something broke. */
const EXIT_CODE = {
  'no-adapter': 2,
  'no-package': 2,
  shader: 2,
  validation: 2,
  'out-of-memory': 2,
  lost: 1,
  timeout: 1,
  crashed: 1,
  internal: 1,
} as const satisfies Record<DeviceErrorKind, number>;

export class DeviceError extends TilewrightError {
  readonly kind: DeviceErrorKind;
  constructor(kind: DeviceErrorKind, message: string) {
    super(message, EXIT_CODE[kind]);
    this.kind = kind;
  }
}

export const noAdapter = (): DeviceError =>
  new DeviceError(
    'no-adapter',
    "no WebGPU adapter: install a GPU's Vulkan driver, or Mesa's software one (Debian, Ubuntu: mesa-vulkan-drivers; on Debian 12 from bookworm-backports), or run: node scripts/setup-vulkan.mjs",
  );
/** Reasons as WebGPU §4.4.2 has them. */
export const lostDevice = (reason: GPUDeviceLostReason, message: string): DeviceError =>
  new DeviceError(
    'lost',
    `the device was lost: ${message.trim() || 'its driver does not say why'} (${reason}). ${
      reason === 'destroyed'
        ? 'Something in this process gave it back'
        : 'The driver reset it, as it does when a shader takes too long or memory runs out, or it is gone'
    }; what runs next opens another`,
  );
export const noPackage = (why: string): DeviceError =>
  new DeviceError(
    'no-package',
    `the optional package webgpu could not be loaded (${why}); install it: npm install webgpu`,
  );

/** "gemm.wgsl:12:9: unresolved value 'x'" with the line itself below. */
export function shaderError(
  name: string,
  wgsl: string,
  messages: readonly { lineNum: number; linePos: number; message: string }[],
): DeviceError {
  const lines = wgsl.split('\n');
  const text = messages
    .slice(0, 5)
    .map(({ lineNum, linePos, message }) => {
      const line = lines[lineNum - 1];
      return `${name}.wgsl:${lineNum}:${linePos}: ${message}${line === undefined ? '' : `\n  ${line.trim()}`}`;
    })
    .join('\n');
  return new DeviceError('shader', text);
}
