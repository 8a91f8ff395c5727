import { localAdapter } from './local.ts';

/** Pinned in the host's own portal until it is read. */
export const inboxAdapter = localAdapter('inbox');
