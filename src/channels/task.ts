import { localAdapter } from './local.ts';

/** A call that the clinic's staff makes. */
export const taskAdapter = localAdapter('task');
