import type { Purpose } from '../../database/tables.ts';
import type { TemplateBody } from '../template.ts';
import { en } from './en.ts';
import { es } from './es.ts';
import { ptBr } from './pt-BR.ts';
import { ru } from './ru.ts';

/**
 * Templates that a clinic can use as they are. They name no diagnosis, specialty or service, since the
 * wrong person may read them, and they manage with whatever is not known of the patient or the clinic.
 */

export const readyMadeNames = [
  'recall',
  'reminder',
  'confirmation',
  'birthday',
  'follow-up',
] as const;
export type ReadyMadeName = (typeof readyMadeNames)[number];

export const readyMadeChannels = ['sms', 'email', 'inbox', 'task', 'whatsapp', 'telegram'] as const;
export type ReadyMadeChannel = (typeof readyMadeChannels)[number];

/** One language's texts of every template. */
export type ReadyMadeTexts = Readonly<
  Record<ReadyMadeName, Readonly<Record<ReadyMadeChannel, TemplateBody>>>
>;

export interface ReadyMadeTemplate {
  readonly name: ReadyMadeName;
  readonly purpose: Purpose;
  readonly bodies: Readonly<Record<ReadyMadeChannel, Readonly<Record<string, TemplateBody>>>>;
}

const purposes: Readonly<Record<ReadyMadeName, Purpose>> = {
  recall: 'care',
  reminder: 'transactional',
  confirmation: 'transactional',
  birthday: 'marketing',
  'follow-up': 'transactional',
};

const textsByLanguage: Readonly<Record<string, ReadyMadeTexts>> = { ru, 'pt-BR': ptBr, es, en };

export const readyMadeTemplates: readonly ReadyMadeTemplate[] = readyMadeNames.map((name) => ({
  name,
  purpose: purposes[name],
  bodies: {
    sms: inAllLanguages(name, 'sms'),
    email: inAllLanguages(name, 'email'),
    inbox: inAllLanguages(name, 'inbox'),
    task: inAllLanguages(name, 'task'),
    whatsapp: inAllLanguages(name, 'whatsapp'),
    telegram: inAllLanguages(name, 'telegram'),
  },
}));

function inAllLanguages(
  name: ReadyMadeName,
  channel: ReadyMadeChannel,
): Record<string, TemplateBody> {
  return Object.fromEntries(
    Object.entries(textsByLanguage).map(([language, texts]) => [language, texts[name][channel]]),
  );
}
