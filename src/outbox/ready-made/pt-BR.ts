import type { ReadyMadeTexts } from './index.ts';

/**
 * The SMS are worded with letters that GSM-7 has (é, à, but no ã, ç, ê or ó): they cost the same and read
 * the same whether or not the channel folds accents, which several Brazilian carriers do by themselves.
 */

const recall = `{{patient.name.salutation|Oi}}, aqui é da {{clinic.name}}!

Chegou a hora do seu retorno, e vai ser um prazer receber você de novo. Escolha o melhor horário: {{link.book}}`;

const reminder = `{{patient.name.salutation|Oi}}, passando para lembrar da sua consulta: {{appointment.date}}, às {{appointment.time}}.

Se precisar de outro horário, é só escolher aqui: {{link.book}}

Até breve!
{{clinic.name}}`;

const confirmation = `{{patient.name.salutation|Oi}}, aqui é da {{clinic.name}}. Sua consulta está marcada para {{appointment.date}}, às {{appointment.time}}.

Pode confirmar sua presença? {{link.confirm}}`;

const birthday = `{{patient.name.salutation|Oi}}, feliz aniversário!

Desejamos muita saúde, alegria e gente querida por perto. Que este novo ano seja cheio de motivos para sorrir.

Com carinho,
{{clinic.name}}`;

const followUp = `{{patient.name.salutation|Oi}}, aqui é da {{clinic.name}}. Como você está depois da consulta?

Se algo estiver incomodando, fale com a gente: {{clinic.phone|estamos por aqui}}.

E, se puder, conte como foi: {{link.rate}}`;

export const ptBr: ReadyMadeTexts = {
  recall: {
    sms: {
      text: '{{patient.name.salutation|Oi}}, aqui é da {{clinic.name}}. Chegou a hora do seu retorno e vai ser um prazer te ver de novo. Para marcar: {{link.book}}',
    },
    email: {
      subject: 'Chegou a hora do seu retorno',
      text: `{{patient.name.salutation|Olá}}, tudo bem?

Chegou a hora do seu retorno. Uma visita rápida agora costuma evitar preocupações depois, e vai ser um prazer receber você de novo.

Escolha o melhor horário: {{link.book}}
Se preferir por telefone: {{clinic.phone|é só ligar para a gente}}.

Com carinho,
{{clinic.name}}

Para não receber mais convites: {{link.unsubscribe}}`,
    },
    inbox: { subject: 'Chegou a hora do seu retorno', text: recall },
    task: {
      text: `Ligar e convidar para o retorno: {{patient.name.salutation|nome na ficha}}.

"{{patient.name.salutation|Oi}}, tudo bem? Aqui é da {{clinic.name}}. Chegou a hora do seu retorno e vai ser um prazer receber você. Qual dia fica melhor?"`,
    },
    whatsapp: { text: recall },
    telegram: { text: recall },
  },
  reminder: {
    sms: {
      text: '{{patient.name.salutation|Oi}}, passando para lembrar da sua consulta: {{appointment.date}}, às {{appointment.time}}. {{clinic.name}}, {{clinic.phone|até breve}}',
    },
    email: {
      subject: 'Sua consulta: {{appointment.date}}, às {{appointment.time}}',
      text: `{{patient.name.salutation|Olá}}, tudo bem?

Passando para lembrar da sua consulta.

Quando: {{appointment.date}}, às {{appointment.time}}
Onde: {{clinic.address|na clínica}}

Se precisar de outro horário, é só escolher aqui: {{link.book}}
Se preferir por telefone: {{clinic.phone|é só ligar para a gente}}.

Até breve!
{{clinic.name}}`,
    },
    inbox: { subject: 'Sua consulta: {{appointment.date}}', text: reminder },
    task: {
      text: `Ligar e lembrar da consulta de {{appointment.date}}, às {{appointment.time}}: {{patient.name.salutation|nome na ficha}}.

"{{patient.name.salutation|Oi}}, tudo bem? Aqui é da {{clinic.name}}. Estou ligando para lembrar da sua consulta: {{appointment.date}}, às {{appointment.time}}. Podemos contar com você?"`,
    },
    whatsapp: { text: reminder },
    telegram: { text: reminder },
  },
  confirmation: {
    sms: {
      text: '{{patient.name.salutation|Oi}}, aqui é da {{clinic.name}}. Sua consulta é dia {{appointment.date}}, às {{appointment.time}}. Pode confirmar? {{link.confirm}}',
    },
    email: {
      subject: 'Pode confirmar sua consulta? {{appointment.date}}, às {{appointment.time}}',
      text: `{{patient.name.salutation|Olá}}, tudo bem?

Sua consulta está marcada.

Quando: {{appointment.date}}, às {{appointment.time}}
Onde: {{clinic.address|na clínica}}

Pode confirmar sua presença? {{link.confirm}}
Se precisar de outro horário, é só escolher aqui: {{link.book}}

Até breve!
{{clinic.name}}`,
    },
    inbox: { subject: 'Confirme sua consulta: {{appointment.date}}', text: confirmation },
    task: {
      text: `Ligar e confirmar a consulta de {{appointment.date}}, às {{appointment.time}}: {{patient.name.salutation|nome na ficha}}.

"{{patient.name.salutation|Oi}}, tudo bem? Aqui é da {{clinic.name}}. Sua consulta está marcada para {{appointment.date}}, às {{appointment.time}}. Você vai poder vir?"`,
    },
    whatsapp: { text: confirmation },
    telegram: { text: confirmation },
  },
  birthday: {
    sms: {
      text: '{{patient.name.salutation|Oi}}, parabéns pelo seu dia! Que o novo ano venha cheio de alegria e de gente querida por perto. Com carinho, {{clinic.name}}. Para sair, responda SAIR',
    },
    email: {
      subject: 'Feliz aniversário!',
      text: `${birthday}

Para não receber mais felicitações: {{link.unsubscribe}}`,
    },
    inbox: { subject: 'Feliz aniversário!', text: birthday },
    task: {
      text: `Ligar e dar os parabéns: {{patient.name.salutation|nome na ficha}}.

"{{patient.name.salutation|Oi}}, tudo bem? Aqui é da {{clinic.name}}. Estamos ligando para desejar um feliz aniversário, com muita saúde e alegria!"`,
    },
    whatsapp: { text: `${birthday}\n\nPara não receber felicitações, responda SAIR` },
    telegram: { text: `${birthday}\n\nPara não receber felicitações, responda SAIR` },
  },
  'follow-up': {
    sms: {
      text: '{{patient.name.salutation|Oi}}, aqui é da {{clinic.name}}. Tudo bem depois da consulta? Se algo incomodar, fale com a gente: {{clinic.phone|estamos por aqui}}',
    },
    email: {
      subject: 'Como você está?',
      text: `{{patient.name.salutation|Olá}}, tudo bem?

Agradecemos a sua visita. Como você está depois da consulta?

Se algo estiver incomodando, fale com a gente: {{clinic.phone|estamos por aqui}}.

E, se puder, conte como foi: {{link.rate}}

Com carinho,
{{clinic.name}}`,
    },
    inbox: { subject: 'Como você está?', text: followUp },
    task: {
      text: `Ligar e perguntar como está depois da consulta: {{patient.name.salutation|nome na ficha}}.

"{{patient.name.salutation|Oi}}, tudo bem? Aqui é da {{clinic.name}}. Queremos saber como você está depois da consulta. Ficou alguma dúvida?"`,
    },
    whatsapp: { text: followUp },
    telegram: { text: followUp },
  },
};
