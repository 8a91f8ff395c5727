import type { ReadyMadeTexts } from './index.ts';

/**
 * The SMS are worded with letters that GSM-7 has (é, ñ, ¿ and ¡, but no á, í, ó or ú): they cost the same
 * and read the same whether or not the channel folds accents.
 */

const recall = `{{patient.name.salutation|Hola}}, le saludamos de {{clinic.name}}.

Ya es momento de su visita de control y nos dará mucho gusto recibirle. Elija el horario que mejor le quede: {{link.book}}`;

const reminder = `{{patient.name.salutation|Hola}}, le recordamos su cita: {{appointment.date}} a las {{appointment.time}}.

Si necesita otro horario, elíjalo aquí: {{link.book}}

¡Le esperamos!
{{clinic.name}}`;

const confirmation = `{{patient.name.salutation|Hola}}, le esperamos el {{appointment.date}} a las {{appointment.time}}.

¿Nos confirma su asistencia? {{link.confirm}}

{{clinic.name}}`;

const birthday = `{{patient.name.salutation|Hola}}, ¡feliz cumpleaños!

Le deseamos mucha salud, alegría y gente querida cerca. Que este nuevo año le traiga muchos motivos para sonreír.

Con cariño,
{{clinic.name}}`;

const followUp = `{{patient.name.salutation|Hola}}, le saludamos de {{clinic.name}}. ¿Cómo se siente después de su visita?

Si algo le molesta, no dude en decirnos: {{clinic.phone|estamos para ayudarle}}.

Y si puede, cuéntenos cómo le fue: {{link.rate}}`;

export const es: ReadyMadeTexts = {
  recall: {
    sms: {
      text: '{{patient.name.salutation|Hola}}, le saludamos de {{clinic.name}}. Ya es momento de su visita de control y le esperamos con gusto. Elija su horario: {{link.book}}',
    },
    email: {
      subject: 'Ya es momento de su visita de control',
      text: `Hola, {{patient.name.salutation|buen día}}.

Ya es momento de su visita de control. Una visita corta ahora suele evitar preocupaciones después, y nos dará mucho gusto recibirle.

Elija el horario que mejor le quede: {{link.book}}
Si prefiere por teléfono: {{clinic.phone|llámenos con confianza}}.

Con cariño,
{{clinic.name}}

Para no recibir más invitaciones: {{link.unsubscribe}}`,
    },
    inbox: { subject: 'Ya es momento de su visita de control', text: recall },
    task: {
      text: `Llamar e invitar a la visita de control: {{patient.name.salutation|nombre en la ficha}}.

«{{patient.name.salutation|Hola}}, ¿cómo está? Le llamamos de {{clinic.name}}. Ya es momento de su visita de control y nos dará mucho gusto recibirle. ¿Qué día le queda mejor?»`,
    },
    whatsapp: { text: recall },
    telegram: { text: recall },
  },
  reminder: {
    sms: {
      text: '{{patient.name.salutation|Hola}}, le recordamos su cita: {{appointment.date}} a las {{appointment.time}}. {{clinic.name}}, {{clinic.phone|le esperamos}}',
    },
    email: {
      subject: 'Su cita: {{appointment.date}} a las {{appointment.time}}',
      text: `Hola, {{patient.name.salutation|buen día}}.

Le recordamos su cita.

Cuándo: {{appointment.date}} a las {{appointment.time}}
Dónde: {{clinic.address|en nuestra clínica}}

Si necesita otro horario, elíjalo aquí: {{link.book}}
Si prefiere por teléfono: {{clinic.phone|llámenos con confianza}}.

¡Le esperamos!
{{clinic.name}}`,
    },
    inbox: { subject: 'Su cita: {{appointment.date}}', text: reminder },
    task: {
      text: `Llamar y recordar la cita del {{appointment.date}} a las {{appointment.time}}: {{patient.name.salutation|nombre en la ficha}}.

«{{patient.name.salutation|Hola}}, ¿cómo está? Le llamamos de {{clinic.name}} para recordarle su cita del {{appointment.date}} a las {{appointment.time}}. ¿Contamos con usted?»`,
    },
    whatsapp: { text: reminder },
    telegram: { text: reminder },
  },
  confirmation: {
    sms: {
      text: '{{patient.name.salutation|Hola}}, le esperamos en {{clinic.name}} el {{appointment.date}} a las {{appointment.time}}. ¿Nos confirma? {{link.confirm}}',
    },
    email: {
      subject: '¿Nos confirma su cita? {{appointment.date}} a las {{appointment.time}}',
      text: `Hola, {{patient.name.salutation|buen día}}.

Su cita está agendada.

Cuándo: {{appointment.date}} a las {{appointment.time}}
Dónde: {{clinic.address|en nuestra clínica}}

¿Nos confirma su asistencia? {{link.confirm}}
Si necesita otro horario, elíjalo aquí: {{link.book}}

¡Le esperamos!
{{clinic.name}}`,
    },
    inbox: { subject: 'Confirme su cita: {{appointment.date}}', text: confirmation },
    task: {
      text: `Llamar y confirmar la cita del {{appointment.date}} a las {{appointment.time}}: {{patient.name.salutation|nombre en la ficha}}.

«{{patient.name.salutation|Hola}}, ¿cómo está? Le llamamos de {{clinic.name}}. Tiene su cita el {{appointment.date}} a las {{appointment.time}}. ¿Nos confirma que puede venir?»`,
    },
    whatsapp: { text: confirmation },
    telegram: { text: confirmation },
  },
  birthday: {
    sms: {
      text: '{{patient.name.salutation|Hola}}, ¡feliz cumpleaños! Le deseamos un año lleno de salud, paz y gente querida cerca. Con cariño, {{clinic.name}}. Para no recibir mensajes, responda BAJA',
    },
    email: {
      subject: '¡Feliz cumpleaños!',
      text: `${birthday}

Para no recibir más felicitaciones: {{link.unsubscribe}}`,
    },
    inbox: { subject: '¡Feliz cumpleaños!', text: birthday },
    task: {
      text: `Llamar y felicitar por su cumpleaños: {{patient.name.salutation|nombre en la ficha}}.

«{{patient.name.salutation|Hola}}, ¿cómo está? Le llamamos de {{clinic.name}} para desearle un muy feliz cumpleaños, con mucha salud y alegría.»`,
    },
    whatsapp: { text: `${birthday}\n\nPara no recibir felicitaciones, responda BAJA` },
    telegram: { text: `${birthday}\n\nPara no recibir felicitaciones, responda BAJA` },
  },
  'follow-up': {
    sms: {
      text: '{{patient.name.salutation|Hola}}, le saludamos de {{clinic.name}}. ¿Todo bien después de su visita? Si algo le molesta, estamos para ayudarle: {{clinic.phone|con gusto le atendemos}}',
    },
    email: {
      subject: '¿Cómo se siente?',
      text: `Hola, {{patient.name.salutation|buen día}}.

Gracias por su visita. ¿Cómo se ha sentido desde entonces?

Si algo le molesta, no dude en decirnos: {{clinic.phone|estamos para ayudarle}}.

Y si puede, cuéntenos cómo le fue: {{link.rate}}

Con cariño,
{{clinic.name}}`,
    },
    inbox: { subject: '¿Cómo se siente?', text: followUp },
    task: {
      text: `Llamar y preguntar cómo se siente después de la visita: {{patient.name.salutation|nombre en la ficha}}.

«{{patient.name.salutation|Hola}}, ¿cómo está? Le llamamos de {{clinic.name}}. Queremos saber cómo se ha sentido después de su visita. ¿Le quedó alguna duda?»`,
    },
    whatsapp: { text: followUp },
    telegram: { text: followUp },
  },
};
