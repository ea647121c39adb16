export const ROOT: string;
export function ensureBuilt(): Promise<void>;
