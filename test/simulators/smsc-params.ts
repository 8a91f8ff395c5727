import type { FastifyRequest } from 'fastify';
import { parseForm } from '../../src/channels/smsc/cp1251.ts';

/** How SMSC.ru reads a request. */

export type Params = Record<string, string>;

const charactersMax = 1000;

/** Query and body together, both in the charset that they name, Windows-1251 if they name none. */
export function paramsOf(request: FastifyRequest): Params {
  const query = request.raw.url?.split('?')[1] ?? '';
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const isJson = request.headers['content-type']?.includes('json') === true;
  if (isJson) {
    const fields = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));
  }
  const form = [query, body.toString('latin1')].filter(Boolean).join('&');
  const charset = /(?:^|&)charset=utf-?8(?:&|$)/i.test(form) ? 'utf-8' : 'windows-1251';
  return parseForm(form, charset);
}

export interface Pair {
  phone: string;
  text: string;
}

/** One message for each number; null: nothing that could be sent. */
export function pairsOf({ phones, mes, list }: Params): Pair[] | null {
  const pairs =
    list === undefined
      ? listOf(phones ?? '').map((phone) => ({ phone: digits(phone), text: mes ?? '' }))
      : list.split('\n').filter(Boolean).map(pairOfLine);
  const isFit = pairs.every(({ text }) => text !== '' && text.length <= charactersMax);
  return pairs.length > 0 && isFit ? pairs : null;
}

function pairOfLine(line: string): Pair {
  const colon = line.indexOf(':');
  const text = line.slice(colon + 1).replaceAll('\\n', '\n');
  return colon === -1 ? { phone: '', text } : { phone: digits(line.slice(0, colon)), text };
}

export function listOf(text: string): string[] {
  return text
    .split(/[,;]/)
    .map((item) => item.trim())
    .filter(Boolean);
}

export function digits(phone: string): string {
  return phone.replace(/\D/g, '');
}

export function isPhone(phone: string): boolean {
  return /^[1-9]\d{9,14}$/.test(phone);
}

export function isClientId(id: string): boolean {
  return /^[A-Za-z0-9._-]{1,40}$/.test(id);
}
