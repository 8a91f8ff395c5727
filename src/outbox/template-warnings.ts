import type { Channel } from '../channels/channel.ts';
import { wordSms } from '../channels/sms-wording.ts';
import type { Clinic } from '../history/clinic.ts';
import { clinicPolicy } from '../history/clinic-policy.ts';
import { callingCode } from '../phone.ts';
import type { ChannelDeps } from './channel-store.ts';
import type { TemplateBody } from './template.ts';
import { unmetDemands } from './template-demands.ts';
import { lintText } from './template-lint.ts';
import type { Template } from './template-store.ts';

/** What speaks against a text, as stable codes. */

/** What the clinic's country asks of a body that lacks it, and what nobody should be sent. */
export function adviceOn(
  body: TemplateBody,
  read: string,
  purpose: Template['purpose'],
  channel: Channel,
  clinic: Clinic,
  { publicUrl }: Pick<ChannelDeps, 'publicUrl'>,
): string[] {
  const lacking = unmetDemands(body, purpose, clinicPolicy(clinic));
  const ownHosts = [new URL(publicUrl).hostname, ...(clinic.settings.websites ?? [])];
  const found = lintText(read, { channel, purpose, ownHosts });
  return [
    ...lacking.map((demand) => `lacks-${demand}`),
    // The country's own word for it is enough.
    ...found.filter((each) => each !== 'no-unsubscribe' || !lacking.includes('opt-out')),
  ];
}

export interface TemplateWarning {
  pointer: string;
  code: string;
}

/** What speaks against such texts, for the answer to saving them. */
export function templateWarnings(
  { purpose, bodies }: Pick<Template, 'purpose' | 'bodies'>,
  clinic: Clinic,
  deps: Pick<ChannelDeps, 'publicUrl'>,
): TemplateWarning[] {
  return Object.entries(bodies).flatMap(([channel, languages]) =>
    channel === 'task'
      ? []
      : Object.entries(languages).flatMap(([language, body]) => {
          const read = [body.subject, body.text, body.html].join('\n');
          const advice = adviceOn(body, read, purpose, channel as Channel, clinic, deps);
          const wording = channel === 'sms' ? smsAdvice(body.text, clinic, deps) : [];
          const pointer = `/bodies/${channel}/${language}`;
          return [...advice, ...wording].map((code) => ({ pointer, code }));
        }),
  );
}

/** As long as a name, a service or a date usually is. */
const usualValue = 'Margarita';
const linkCharacters = 43;

/** What the text costs once its names are filled in, as far as that can be known before. */
function smsAdvice(
  text: string,
  clinic: Clinic,
  { publicUrl }: Pick<ChannelDeps, 'publicUrl'>,
): string[] {
  const filled = text.replace(/\{\{\s*(link\.)?[^}]*\}\}/g, (_slot, isLink?: string) =>
    isLink ? `${publicUrl}/l/${'x'.repeat(linkCharacters)}` : usualValue,
  );
  return wordSms(filled, callingCode(clinic.country) ?? '', {}).warnings;
}
