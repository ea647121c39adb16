/** The device's child process, whose device is destroyed under it as many milliseconds after it was made as LOSE_AFTER_MS says. */
const { globals } = (await import('webgpu' as string)) as { globals: { GPUAdapter: { prototype: GPUAdapter } } };
const { prototype } = globals.GPUAdapter;
const request = prototype.requestDevice;
prototype.requestDevice = async function (this: GPUAdapter, ...wish) {
  const device = await request.apply(this, wish);
  setTimeout(() => device.destroy(), Number(process.env['LOSE_AFTER_MS']));
  return device;
};
await import('../../src/webgpu/device/child.js');

export {};
