export function ensureVulkan(options?: {
  install?: boolean;
  log?: (line: string) => void;
}): Promise<{ ok: boolean; message: string }>;
