/** How SendGrid reads a v3 mail, and what it refuses. */

export interface Personalization {
  to?: { email?: string }[];
  subject?: string;
  headers?: Record<string, string>;
  custom_args?: Record<string, string>;
  substitutions?: Record<string, string>;
}

export interface Mail {
  from?: { email?: string };
  subject?: string;
  personalizations?: Personalization[];
  content?: { type: string; value: string }[];
  headers?: Record<string, string>;
  mail_settings?: { sandbox_mode?: { enable?: boolean } };
}

export interface Fault {
  message: string;
  field: string | null;
}

const personalizationsMax = 1000;
const argsBytesMax = 10_000;
const ownHeaders =
  /^(x-sg-id|x-sg-eid|received|dkim-signature|content-type|content-transfer-encoding|to|from|subject|reply-to|cc|bcc)$/i;
const emailForm = /^[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+$/;

export function substitute(text: string, substitutions: Record<string, string> = {}): string {
  const tags = Object.keys(substitutions);
  if (tags.length === 0) return text;
  const escaped = tags.map((tag) => tag.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return text.replace(new RegExp(escaped.join('|'), 'g'), (tag) => substitutions[tag] ?? '');
}

export function faultsOf(mail: Mail): Fault[] {
  const faults: Fault[] = [];
  const list = mail.personalizations ?? [];
  if (!mail.from?.email || !emailForm.test(mail.from.email)) {
    faults.push({
      message: 'The from email does not contain a valid address.',
      field: 'from.email',
    });
  }
  if (list.length === 0 || list.length > personalizationsMax) {
    faults.push({ message: 'The personalizations field is required.', field: 'personalizations' });
  }
  if (!mail.content?.length || mail.content.some(({ value }) => !value)) {
    faults.push({
      message: 'The content value must be a string at least one character in length.',
      field: 'content',
    });
  }
  list.forEach((one, index) => {
    faults.push(...personalizationFaults(mail, one, `personalizations.${index}`));
  });
  return faults;
}

function personalizationFaults(mail: Mail, one: Personalization, at: string): Fault[] {
  const faults: Fault[] = [];
  const addresses = (one.to ?? []).map(({ email }) => email ?? '');
  if (addresses.length === 0 || !addresses.every((address) => emailForm.test(address))) {
    faults.push({ message: 'Does not contain a valid address.', field: `${at}.to` });
  }
  if (new Set(addresses).size !== addresses.length) {
    faults.push({ message: 'Each email address should be unique.', field: `${at}.to` });
  }
  if (!(one.subject ?? mail.subject)) {
    faults.push({ message: 'The subject is required.', field: 'subject' });
  }
  for (const field of ['custom_args', 'substitutions'] as const) {
    if (Buffer.byteLength(JSON.stringify(one[field] ?? {})) > argsBytesMax) {
      faults.push({ message: 'Too large.', field: `${at}.${field}` });
    }
  }
  if (Object.keys(one.headers ?? {}).some((name) => ownHeaders.test(name))) {
    faults.push({ message: 'A reserved header.', field: `${at}.headers` });
  }
  return faults;
}
