import type { Clock } from '../clock.ts';
import type { Db } from '../database/connect.ts';
import { AppError } from '../errors.ts';
import type { Secrets } from '../secrets.ts';

export interface LinkDeps {
  db: Db;
  secrets: Secrets;
  clock: Clock;
}

/** A page with its HTTP status: 200, 404 for no link of ours, 410 for one whose time is over. */
export interface LinkAnswer {
  status: 200 | 404 | 410;
  html: string;
}

/** The fields of the posted form (`application/x-www-form-urlencoded`), none needed. */
export type LinkForm = Readonly<Record<string, string | undefined>>;

/** GET: shows what can be done, and does nothing. */
export async function readLinkPage(_deps: LinkDeps, _token: string): Promise<LinkAnswer> {
  throw new AppError('unavailable', 'Links are not followed yet.');
}

/** POST: does it; doing it twice is harmless. */
export async function followLink(
  _deps: LinkDeps,
  _token: string,
  _form: LinkForm,
): Promise<LinkAnswer> {
  throw new AppError('unavailable', 'Links are not followed yet.');
}
