/** The shipped model files, as the tests read them. */
import { readdirSync, readFileSync } from 'node:fs';
import { type TransformerModel, validateModel } from '../../src/workload/model.js';

const FOLDER = new URL('../../workloads/models/', import.meta.url);

export function modelNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -5))
    .filter((name) => 'layers' in modelJson(name));
}

export function modelJson(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8'));
}

export function model(name: string): TransformerModel {
  return validateModel(modelJson(name), `${name}.json`);
}
