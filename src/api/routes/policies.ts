import { type Static, Type } from 'typebox';
import { notFound } from '../../errors.ts';
import type { Clinic } from '../../history/clinic.ts';
import {
  clinicPolicy,
  narrowedByLaw,
  openHours,
  policyOrigins,
} from '../../history/clinic-policy.ts';
import { findClinic } from '../../history/clinic-store.ts';
import {
  type CountryPolicy,
  countryPolicies,
  countryPolicy,
} from '../../history/country-policy.ts';
import { dataRegionWarning, type PolicyWarning } from '../../history/data-region.ts';
import { regionWarnings } from '../../outbox/data-regions.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { wholeListOf } from '../page.ts';
import { Origins, PolicyRow, ruleFields, toWeek, Warning } from '../policy-words.ts';
import { policySetting } from './own-clinic.ts';

const ClinicPolicyOut = Type.Object(
  {
    country: PolicyRow,
    clinic: policySetting,
    result: Type.Object(ruleFields, {
      description: 'What holds: the hours with the send window, so when messages really leave.',
    }),
    origin: Origins,
    warnings: Type.Array(Warning, { description: 'What somebody should look at.' }),
  },
  { title: 'EffectivePolicy', description: "A country's row, and what a clinic made of it." },
);

/** Two letters that no country has. */
const noCountry = '';

export const policyRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/policies',
    {
      config: { access: 'any' },
      schema: {
        operationId: 'listPolicies',
        tags: ['Clinic'],
        summary: 'List what each country asks of messages; the last row is for all others',
        response: { 200: wholeListOf(PolicyRow) },
      },
    },
    async () => ({
      data: [...countryPolicies.values(), countryPolicy(noCountry)].map(toRow),
      nextCursor: null,
    }),
  );

  app.get(
    '/v1/clinic/policy',
    {
      config: { access: 'any' },
      schema: {
        operationId: 'getClinicPolicy',
        tags: ['Clinic'],
        summary: "Show what holds in the clinic: its country's row and its own settings",
        response: { 200: ClinicPolicyOut },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      return run(async (trx) => {
        const clinic = await findClinic(trx, clinicId);
        if (clinic === null) throw notFound('clinic');
        return toClinicPolicyOut(clinic, [
          ...settingWarnings(deps, clinic),
          ...(await regionWarnings(deps, trx, clinic)),
        ]);
      });
    },
  );
};

function settingWarnings({ dataRegion }: AppDeps, clinic: Clinic): PolicyWarning[] {
  const region = dataRegionWarning(clinic.country, dataRegion);
  const narrowed = narrowedByLaw(clinic).map((pointer) => ({
    pointer,
    code: 'hours-narrowed-by-law' as const,
    detail: "These hours reach beyond those of the country's law, which hold.",
  }));
  return [...(region ? [region] : []), ...narrowed];
}

function toClinicPolicyOut(
  clinic: Clinic,
  warnings: PolicyWarning[],
): Static<typeof ClinicPolicyOut> {
  const policy = { ...clinicPolicy(clinic), allowedHours: openHours(clinic) };
  return {
    country: toRow(countryPolicy(clinic.country)),
    clinic: clinic.settings.policy ?? {},
    result: toRules(policy),
    origin: policyOrigins(clinic),
    warnings,
  };
}

function toRow(row: CountryPolicy): Static<typeof PolicyRow> {
  const { country, isLaw, source } = row;
  return { country, ...toRules(row), isLaw, source };
}

function toRules(
  row: CountryPolicy,
): Omit<Static<typeof PolicyRow>, 'country' | 'isLaw' | 'source'> {
  const { allowedHours, needsConsent, mustInclude, marketingNeedsApprover, dataRegion } = row;
  return {
    allowedHours: {
      transactional: toWeek(allowedHours.transactional),
      care: toWeek(allowedHours.care),
      marketing: toWeek(allowedHours.marketing),
    },
    needsConsent,
    mustInclude: {
      transactional: [...mustInclude.transactional],
      care: [...mustInclude.care],
      marketing: [...mustInclude.marketing],
    },
    marketingNeedsApprover,
    dataRegion,
  };
}
