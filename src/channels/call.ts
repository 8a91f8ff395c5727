import type { AdapterContext } from './channel.ts';
import type { HttpRequest, HttpResult } from './http.ts';

/** One call to a provider that ends by the context's deadline. */
export function callProvider(
  context: AdapterContext,
  request: Omit<HttpRequest, 'signal' | 'timeoutMs'>,
): Promise<HttpResult> {
  const left = context.deadline.since(context.now()).total('milliseconds');
  return context.http.request({
    ...request,
    signal: context.signal,
    timeoutMs: Math.max(1, Math.ceil(left)),
  });
}

/** The JSON of an answer; undefined for what is none. */
export function readJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // Not a value of JSON, so it cannot be mistaken for one.
    return undefined;
  }
}

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Providers write numbers as numbers or as text. */
export function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
}

/** Null for what is no whole number. */
export function wholeNumber(value: unknown): number | null {
  const text = textOf(value);
  return /^-?\d{1,15}$/.test(text) ? Number(text) : null;
}
