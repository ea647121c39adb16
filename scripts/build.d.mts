export const ROOT: string;
export function ensureBuilt(options?: { always?: boolean }): Promise<void>;
