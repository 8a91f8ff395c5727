import type { FastifyRequest } from 'fastify';
import type { Trx } from '../database/connect.ts';
import { repeatSacrificed } from '../database/outage.ts';
import { type WithClinicOptions, withClinic } from '../database/with-clinic.ts';
import { type Clinic, clinicNow } from '../history/clinic.ts';
import type { Caller } from '../history/key.ts';
import { callerOf } from './authenticate.ts';
import type { AppDeps } from './deps.ts';

/** Where a request takes place: whose clinic, at which instant, and who is to be named in the audit. */
export interface AtClinic {
  caller: Caller;
  clinic: Clinic;
  clinicId: string;
  now: Temporal.Instant;
  actor: string;
  /** One transaction that sees this clinic alone; `work` runs again when it was sacrificed. */
  run<T>(work: (trx: Trx) => Promise<T>, options?: WithClinicOptions): Promise<T>;
}

export function atClinic(deps: AppDeps, request: FastifyRequest): AtClinic {
  const caller = callerOf(request);
  const { clinic, clinicId } = caller;
  return {
    caller,
    clinic,
    clinicId,
    now: clinicNow(clinic, deps.clock),
    actor: `key:${caller.keyId}`,
    run: (work, options) => repeatSacrificed(() => withClinic(deps.db, clinicId, work, options)),
  };
}
