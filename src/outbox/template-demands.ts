import type { Purpose } from '../database/tables.ts';
import type { CountryPolicy, Demand } from '../history/country-policy.ts';
import { compileBody, namesIn, type TemplateBody } from './template.ts';

interface Said {
  names: readonly string[];
  words: string;
}

/** Words that tell a reader how to stop the messages. */
export const optOutWords =
  /(?<!\p{L})(STOP|UNSUBSCRIBE|СТОП|ОТПИСКА|ОТПИСАТЬСЯ|SAIR|PARAR|BAJA|ALTO|SALIR)(?!\p{L})/u;

const isMet: Readonly<Record<Demand, (said: Said) => boolean>> = {
  'clinic-name': ({ names }) => names.includes('clinic.name'),
  'clinic-contact': ({ names }) =>
    names.some((name) => /^(clinic\.(phone|address)|link\.)/.test(name)),
  'opt-out': ({ names, words }) => names.includes('link.unsubscribe') || optOutWords.test(words),
  contraindications: ({ words }) => /противопоказан/iu.test(words),
};

/**
 * What the clinic's policy asks of such a text and this one lacks: a warning when it is saved, since
 * nothing is ever appended. The body is one that was checked.
 */
export function unmetDemands(
  body: TemplateBody,
  purpose: Purpose,
  policy: Pick<CountryPolicy, 'mustInclude'>,
): Demand[] {
  const words = [body.subject, body.text, body.html].join('\n');
  const said = { names: namesIn(compileBody(body)), words };
  return policy.mustInclude[purpose].filter((demand) => !isMet[demand](said));
}
