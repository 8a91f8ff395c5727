import type { Channel } from '../channels/channel.ts';
import type { Purpose } from '../database/tables.ts';
import { optOutWords } from './template-demands.ts';

/**
 * What a text should not carry to a phone that lies on a table: health details, links that lead elsewhere,
 * offers without a way out. Advice to who writes the template; nothing is refused or changed.
 */

export type LintFinding = 'health-detail' | 'foreign-link' | 'link-shortener' | 'no-unsubscribe';

export interface LintTerms {
  channel: Channel;
  purpose: Purpose;
  /** Hosts that the clinic's patients know: our own and those that the clinic names. */
  ownHosts: readonly string[];
}

/** Read behind a login, or by the clinic's own staff. */
const privateChannels: readonly Channel[] = ['inbox', 'task'];

/** @param text all that is read: subject, text and HTML, with or without names in braces. */
export function lintText(text: string, { channel, purpose, ownHosts }: LintTerms): LintFinding[] {
  if (privateChannels.includes(channel)) return [];
  const hosts = linkedHosts(text).filter((host) => !isOwn(host, ownHosts));
  const canLeave = text.includes('{{link.unsubscribe') || optOutWords.test(text);
  return [
    ...(healthWords.test(text) ? (['health-detail'] as const) : []),
    ...(hosts.some((host) => shorteners.has(host)) ? (['link-shortener'] as const) : []),
    ...(hosts.some((host) => !shorteners.has(host)) ? (['foreign-link'] as const) : []),
    ...(purpose === 'marketing' && !canLeave ? (['no-unsubscribe'] as const) : []),
  ];
}

/** Carriers and mail filters drop them, since nobody sees where they lead. */
const shorteners = new Set([
  'bit.ly',
  'clck.ru',
  'cutt.ly',
  'goo.gl',
  'is.gd',
  'ow.ly',
  'rb.gy',
  't.co',
  'tiny.cc',
  'tinyurl.com',
  'vk.cc',
]);

/** Endings without a scheme that phones make a link of all the same. */
const link =
  /(?:https?:\/\/|(?<![\p{L}\d@._-]))((?:[\p{L}\d](?:[\p{L}\d-]*[\p{L}\d])?\.)+(?:ru|рф|su|com|org|net|info|br|mx|cl|co|ar|pe|kz|io|me|app|site|online|link|ly|gl|gd|cc|gy))(?![\p{L}\d-])(?:\/|\b|$)/giu;
const linkWithScheme = /https?:\/\/([^\s/?#"'<>{}]+)/giu;

function linkedHosts(text: string): string[] {
  const found = [...text.matchAll(linkWithScheme), ...text.matchAll(link)];
  const hosts = found.map(([, host = '']) =>
    host
      .toLowerCase()
      .replace(/^.*@/, '')
      .replace(/:\d+$/, '')
      .replace(/^www\./, ''),
  );
  return [...new Set(hosts)].filter((host) => host !== '');
}

function isOwn(host: string, ownHosts: readonly string[]): boolean {
  return ownHosts.some((own) => host === own || host.endsWith(`.${own}`));
}

/**
 * What tells a stranger what somebody suffers from, in the four languages that the ready-made templates
 * have. A dentist's cleaning or a check-up does not.
 */
const wholeWords = 'вич спид аборт hiv vih aids sida stroke derrame infarto'.replaceAll(' ', '|');
const beginnings = [
  // Russian
  'гепатит сифилис гонорея хламиди онколог опухол метастаз диабет химиотерап беременн бесплоди',
  'эректил венеролог психиатр нарколог депресси шизофрен туберкул диагноз биопси инсульт инфаркт',
  // Portuguese and Spanish
  'hepatit sífilis sifilis gonorr câncer cáncer cancer oncolog oncólog tumor metástas quimioterap',
  'diabet gravidez embaraz aborto infertil psiquiatr depress depresi esquizofr tuberculos diagnóstic',
  'biópsia biopsi',
  // English
  'syphilis chlamydia tumour chemotherap pregnan abortion psychiatr schizophren tubercul diagnos',
]
  .join(' ')
  .replaceAll(' ', '|');
const healthWords = new RegExp(
  `(?<!\\p{L})(?:(?:${wholeWords})(?!\\p{L})|(?:${beginnings}))`,
  'iu',
);
