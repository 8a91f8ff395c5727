import { AppError } from '../errors.ts';
import type { Clinic } from './clinic.ts';
import { countryPolicy } from './country-policy.ts';

/** Where patients' data lies, and where the country of a clinic wants it. */

export interface PolicyWarning {
  /** What it is about: a field of the clinic, or one of its channels. */
  pointer: string;
  code:
    | 'data-region-unknown'
    | 'data-region-elsewhere'
    | 'provider-outside-data-region'
    | 'hours-narrowed-by-law';
  detail: string;
}

/**
 * A live clinic is not kept where its country forbids it. Where nobody has said where the installation lies,
 * that is a warning: `dataRegionWarning`.
 * @param installation an ISO country; null where nobody said.
 * @throws AppError a 422 that points at the country.
 */
export function checkDataRegion(
  { mode, country }: Pick<Clinic, 'mode' | 'country'>,
  installation: string | null,
): void {
  const warning = mode === 'live' ? dataRegionWarning(country, installation) : null;
  if (warning?.code !== 'data-region-elsewhere') return;
  const { pointer, detail } = warning;
  throw new AppError('unprocessable', detail, {
    faults: [{ pointer, code: 'data-region', detail }],
  });
}

/** Null where the country has no such rule, or the installation lies there. */
export function dataRegionWarning(
  country: string,
  installation: string | null,
): PolicyWarning | null {
  const { dataRegion } = countryPolicy(country);
  if (dataRegion === null || dataRegion === installation) return null;
  const rule = `The data of patients in ${country} must be recorded first in databases in ${dataRegion}`;
  return {
    pointer: '/country',
    ...(installation === null
      ? {
          code: 'data-region-unknown',
          detail: `${rule}, and RETORNO_DATA_REGION does not say where this installation lies.`,
        }
      : {
          code: 'data-region-elsewhere',
          detail: `${rule}; this installation lies in ${installation} by RETORNO_DATA_REGION.`,
        }),
  };
}

/**
 * Whether a provider takes what is sent out of the region that the clinic's country wants.
 * @param keptIn the countries where the provider keeps it.
 */
export function providerWarning(
  country: string,
  provider: string,
  keptIn: readonly string[],
  pointer: string,
): PolicyWarning | null {
  const { dataRegion } = countryPolicy(country);
  const abroad = keptIn.filter((place) => place !== dataRegion);
  if (dataRegion === null || abroad.length === 0) return null;
  return {
    pointer,
    code: 'provider-outside-data-region',
    detail: `${provider} keeps what is sent in ${abroad.join(', ')}: data of patients in ${country} crosses the border of ${dataRegion}.`,
  };
}
