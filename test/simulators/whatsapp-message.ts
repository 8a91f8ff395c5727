/** What WhatsApp takes, as channels.md section 3.1 describes it, and why it takes nothing else. */

export interface WhatsappButton {
  id: string;
  title: string;
}

export interface WhatsappMessage {
  /** Counts up; the order in which messages were taken. */
  number: number;
  clientRef: string;
  /** With its plus. */
  to: string;
  type: 'text' | 'interactive' | 'template';
  /** Of a template: its parameters, one a line. */
  text: string;
  template: string | null;
  language: string | null;
  buttons: WhatsappButton[];
  messageId: string;
  atMs: number;
}

export interface KnownTemplate {
  languages: string[];
  parameters: number;
  buttons?: string[];
}

export type Templates = Readonly<Record<string, KnownTemplate>>;

interface Text {
  text?: string;
  payload?: string;
}

export interface Sent {
  messaging_product?: string;
  to?: string;
  type?: string;
  text?: { body?: string };
  interactive?: {
    type?: string;
    body?: Text;
    action?: { buttons?: { type?: string; reply?: Partial<WhatsappButton> }[] };
  };
  template?: {
    name?: string;
    language?: { code?: string };
    components?: { type?: string; index?: string; parameters?: Text[] }[];
  };
  biz_opaque_callback_data?: string;
}

export type Content = Pick<WhatsappMessage, 'type' | 'text' | 'template' | 'language' | 'buttons'>;

/** The content of a message, or the code by which it is refused. */
export function readContent(sent: Sent, templates: Templates | null): Content | number {
  if (sent.messaging_product !== 'whatsapp' || !/^\+?\d{7,15}$/.test(sent.to ?? '')) return 100;
  if ((sent.biz_opaque_callback_data ?? '').length > 512) return 100;
  const plain = { template: null, language: null, buttons: [] };
  switch (sent.type) {
    case 'text':
      return isWithin(sent.text?.body, 4096)
        ? { ...plain, type: 'text', text: sent.text?.body ?? '' }
        : 131009;
    case 'interactive':
      return readInteractive(sent);
    case 'template':
      return readTemplate(sent, templates);
    default:
      return 131051;
  }
}

function readInteractive({ interactive }: Sent): Content | number {
  const text = interactive?.body?.text;
  const buttons = (interactive?.action?.buttons ?? []).map(({ reply }) => ({
    id: reply?.id ?? '',
    title: reply?.title ?? '',
  }));
  const areFit = buttons.every(({ id, title }) => isWithin(id, 256) && isWithin(title, 20));
  const isCountFit = buttons.length >= 1 && buttons.length <= 3;
  const isFit = interactive?.type === 'button' && isWithin(text, 1024) && areFit && isCountFit;
  if (!isFit || new Set(buttons.map(({ title }) => title)).size !== buttons.length) return 131009;
  return { type: 'interactive', text: text ?? '', template: null, language: null, buttons };
}

function readTemplate({ template }: Sent, templates: Templates | null): Content | number {
  const { name = '', language, components = [] } = template ?? {};
  const known = templates?.[name];
  const code = language?.code ?? '';
  if (templates !== null && !known?.languages.includes(code)) return 132001;
  const parameters = components.find(({ type }) => type === 'body')?.parameters ?? [];
  const texts = parameters.map(({ text = '' }) => text);
  if (known && known.parameters !== texts.length) return 132000;
  if (texts.some((text) => text === '')) return 131008;
  if (texts.some((text) => /[\n\t]| {5}/.test(text))) return 132012;
  const payloads = components
    .filter(({ type }) => type === 'button')
    .map(({ index = '0', parameters: [first] = [] }) => ({
      id: first?.payload ?? '',
      title: known?.buttons?.[Number(index)] ?? `button ${index}`,
    }));
  return {
    type: 'template',
    text: texts.join('\n'),
    template: name,
    language: code,
    buttons: payloads,
  };
}

function isWithin(text: string | undefined, max: number): boolean {
  return text !== undefined && text.length >= 1 && text.length <= max;
}
