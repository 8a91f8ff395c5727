#!/usr/bin/env bash
# A second tour by curl, of what comes back: a message goes out, the patient taps, writes or opens a link, the clinic's
# own system (its MIS) hears of it. Three live clinics, on the real clock; the providers are the simulators of this project.
#
#   make simulators      # in another terminal
#   RETORNO_URL=http://127.0.0.1:8080 RETORNO_OPERATOR_KEY=… docs/tour-of-replies.sh
#
# It needs bash, curl and node, a service that may call private addresses (RETORNO_PRIVATE_URLS=allow), and simulators
# that have just been started. What differs each day is shown as a word in brackets. A test compares what it prints with
# tour/expected-replies.txt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
url=${RETORNO_URL:-http://127.0.0.1:8080}
. "$here/tour/words.sh"

smsc=${SMSC_URL:-http://127.0.0.1:9101}
sendgrid=${SENDGRID_URL:-http://127.0.0.1:9102}
webhook=${HOST_URL:-http://127.0.0.1:9103} # the MIS of the clinics
whatsapp=${WHATSAPP_URL:-http://127.0.0.1:9105}
twilio=${TWILIO_URL:-http://127.0.0.1:9106}
telegram=${TELEGRAM_URL:-http://127.0.0.1:9107}

# sim NAME LEVER [JSON]: looks at a simulator, or pulls one of its levers
sim() { curl -sS "${!1}/__sim/$1/$2" ${3:+-H 'Content-Type: application/json' --data "$3"}; }
# awaits WANTED COMMAND…: asks until the answer holds it, a minute at most
awaits() {
  local wanted=$1 answer
  shift
  for _ in $(seq 120); do
    answer=$("$@")
    case $answer in *"$wanted"*) return ;; esac
    sleep 0.2
  done
  printf '  in vain awaited: %s in\n%s\n' "$wanted" "$answer"
  return 1
}
arrived() { # SIMULATOR FIELDS [CONDITION…]: what it took, once there is such a message
  local where=$1 fields=$2
  shift 2
  shows() { sim "$where" messages | show data "$fields" "$@"; }
  absent() { case $(shows "$@") in *'(none)'*) echo no ;; *) echo yes ;; esac; }
  awaits yes absent "$@"
  shows "$@"
}
hears() { # TYPE PATIENT FIELDS [CONDITION…]: what the MIS was told, once it was
  local type=$1 patient=$2 fields=$3
  shift 3
  arrived webhook "type,$fields" "type=$type" "data.patientId=$patient" "$@"
}
message() { api GET "/v1/messages?patientId=$1" | show data "${2:-channel,state,text}"; }
becomes() { awaits "$2" message "$1" state; } # PATIENT STATE
write() { api POST /v1/messages "$1" | show . "${2:-patientId,channel,state,reason}"; }
callback_of() { api PUT "/v1/channels/$1" "$2" | show callbackUrl; }
# forged WHAT CALLBACK-URL CURL-OPTIONS…: posts what no provider signed, and tells the status of the answer
forged() {
  local what=$1 to=$2
  shift 2
  printf '  %-9s %s\n' "$what" "$(curl -sS -o /dev/null -w '%{http_code}' "$to" "$@")"
}
# tomorrow ZONE LANGUAGE WORD: START is in 24 hours and a moment; its day is shown as that word, its time as 00:00
tomorrow() {
  START=$(node -p 'new Date(Date.now() + 86_403_000).toISOString()')
  TOUR_HIDES=${TOUR_HIDES:-}$(node -e '
    const [start, timeZone, language, word] = process.argv.slice(1);
    const say = (options) => new Intl.DateTimeFormat(language, { timeZone, ...options }).format(new Date(start));
    console.log(`\n${say({ day: "numeric", month: "long" })}=[${word}]`);
    console.log(`${say({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" })}=[00:00]`);
  ' "$START" "$1" "$2" "$3")
  export TOUR_HIDES
}
# The clinics may write at any hour, so that the tour can be taken at any.
always='"sendWindow":{"start":"00:00","end":"24:00"}'
secrets=
listen() { # the MIS is to hear, and learns the secret
  SECRET=$(api PUT /v1/webhooks/mis '{"url":"'"$webhook"'/hook","events":["appointment.*","message.delivered",
    "patient.opted-out","thread.message","task.*","callback.requested"]}' | show secret)
  secrets=${secrets:+$secrets,}'"'$SECRET'"'
  sim webhook secrets '{"secrets":['"${TRUSTED:-$secrets}"']}'
}

# ----------------------------------------------------------------------------------------------------------------------
say '=== Clínica Vida, São Paulo: a reminder by WhatsApp, answered with one tap ==='
KEY=$(clinic '{"name":"Clínica Vida","timeZone":"America/Sao_Paulo","country":"BR","language":"pt-BR","currency":"BRL","mode":"live"}')
VIDA=$KEY
quietly PATCH /v1/clinic '{"phone":"+55 11 5555-0101",'"$always"'}'

say 'The MIS is to hear what happens. It checks signatures: while it has a wrong secret it refuses the test'
TRUSTED='"whsec_d3JvbmcgYnV0IGxvbmcgZW5vdWdoIHRvIGJlIG9uZQ=="' listen
api POST /v1/webhooks/mis/test | show . ok,status
say 'With the secret that came when it was set up, it takes it'
sim webhook secrets '{"secrets":['"$secrets"']}'
api POST /v1/webhooks/mis/test | show . ok,status
arrived webhook type type=webhook.test

say 'WhatsApp: Meta has approved a template with buttons, proves that the address is ours, and the key is tried'
sim whatsapp templates '{"lembrete_consulta":{"languages":["pt_BR"],"parameters":4,
  "buttons":["Confirmar","Outro horário","Não vou poder ir"]}}'
put /v1/templates/lembrete '{"purpose":"transactional","bodies":{"whatsapp":{"pt-BR":{"text":
  "Olá, {{patient.name.given}}! Aqui é da {{clinic.name}}. Sua consulta é amanhã, {{appointment.date}}, às {{appointment.time}}. Você confirma?"}}}}'
TO_WHATSAPP=$(callback_of whatsapp '{"provider":"whatsapp","tariff":{"BR":"0.05"},
  "credentials":{"accessToken":"EAA","phoneNumberId":"106540352242922","appSecret":"app-secret","verifyToken":"vida"},
  "options":{"baseUrl":"'"$whatsapp"'","templates":{"lembrete":{"name":"lembrete_consulta",
    "parameters":["patient.name.given","clinic.name","appointment.date","appointment.time"],
    "buttons":["confirm","other-time","cancel"]}}}}')
echo "  $(curl -sS "$TO_WHATSAPP?hub.mode=subscribe&hub.challenge=115820&hub.verify_token=vida")"
api POST /v1/channels/whatsapp/test | show . ok
sim whatsapp webhook '{"url":"'"$TO_WHATSAPP"'"}'

put /v1/patients/ana '{"name":{"given":"Ana","family":"Souza"},"telecom":[{"system":"whatsapp","value":"11 91234-5601"},
  {"system":"email","value":"ana@example.com"}]}'
put /v1/patients/bruno '{"name":{"given":"Bruno","family":"Lima"},"telecom":[{"system":"whatsapp","value":"11 91234-5602"}]}'
rule LEMBRETE '{"name":"Lembrete: 24 horas antes","purpose":"transactional","trigger":{"type":"appointment","before":"PT24H"},
  "steps":[{"channel":"whatsapp","template":"lembrete"}]}'
tomorrow America/Sao_Paulo pt-BR data
for who in ana bruno; do
  put "/v1/appointments/c-$who" '{"patientId":"'$who'","status":"booked","start":"'"$START"'"}'
done

# Улыбка is set up here already: its reminders go while these are looked at.
KEY=$(clinic '{"name":"Улыбка","timeZone":"Europe/Moscow","country":"RU","language":"ru","currency":"RUB","mode":"live"}')
ULYBKA=$KEY
quietly PATCH /v1/clinic '{"phone":"+7 495 555-01-01",'"$always"'}'
listen
TO_SMSC=$(callback_of sms '{"provider":"smsc","credentials":{"apiKey":"tour","callbackSecret":"smsc-secret"},
  "options":{"baseUrl":"'"$smsc"'","sender":"Ulybka"},"tariff":{"RU":"4.50"}}')
sim smsc callback '{"url":"'"$TO_SMSC"'","secret":"smsc-secret"}'
put /v1/patients/17 '{"name":{"family":"Иванова","given":"Анна","middle":"Петровна"},"telecom":[{"system":"phone","value":"8 (916) 123-45-67"}]}'
put /v1/patients/18 '{"name":{"family":"Орлов","given":"Игорь","middle":"Сергеевич"},"telecom":[{"system":"phone","value":"8 (916) 123-45-68"}]}'
rule CONFIRM '{"name":"Подтверждение за сутки","purpose":"transactional","trigger":{"type":"appointment","before":"PT24H"},
  "steps":[{"channel":"sms","template":"confirmation"}]}'
tomorrow Europe/Moscow ru дата
for who in 17 18; do
  put "/v1/appointments/a-$who" '{"patientId":"'$who'","status":"booked","start":"'"$START"'"}'
done
KEY=$VIDA

say 'The day before, this is what arrives at Ana and Bruno'
becomes bruno delivered
becomes ana delivered
arrived whatsapp to,template,language,text,buttons.0.title,buttons.1.title,buttons.2.title
say 'Meta says that it came'
message ana channel,state,text
message bruno channel,state,text

say 'Ana taps on Confirmar: the MIS hears it, and the appointment is confirmed'
sim whatsapp replies '{"address":"+5511912345601","button":"Confirmar"}'
hears appointment.confirmed ana data.appointmentId,data.patientId,data.confirmation
api GET /v1/appointments/c-ana | show . id,status,confirmation

say 'Somebody else knows the address that Meta calls, and tells that Ana cannot come. It is refused and changes nothing'
CANCEL=$(sim whatsapp messages | show data:buttons.2.id to=+5511912345601)
forged WhatsApp "$TO_WHATSAPP" -H 'Content-Type: application/json' -H 'X-Hub-Signature-256: sha256=00' --data '{"object":
  "whatsapp_business_account","entry":[{"id":"100","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",
  "metadata":{"phone_number_id":"106540352242922"},"messages":[{"from":"5511912345601","id":"wamid.FORGED",
  "timestamp":"1772463600","type":"button","button":{"payload":"'"$CANCEL"'","text":"Não vou poder ir"}}]}}]}]}'
api GET /v1/appointments/c-ana | show . id,status,confirmation

say 'After the visit instructions go by e-mail, and SendGrid says that they came'
PUBLIC=$(sim sendgrid key | show publicKey)
TO_SENDGRID=$(callback_of email '{"provider":"sendgrid","credentials":{"apiKey":"SG.tour","webhookPublicKey":"'"$PUBLIC"'"},
  "options":{"baseUrl":"'"$sendgrid"'","sender":"Clínica Vida <vida@example.com>"},"tariff":{"default":"0.01"}}')
sim sendgrid webhook '{"url":"'"$TO_SENDGRID"'"}'
write '{"patientId":"ana","purpose":"transactional","channel":"email","subject":"Depois da sua consulta",
  "text":"Olá, Ana! Seguem as orientações que combinamos. Qualquer dúvida, é só ligar: +55 11 5555-0101."}'
arrived sendgrid to,subject,text
awaits 'email     delivered' message ana channel,state
message ana channel,state

# ----------------------------------------------------------------------------------------------------------------------
say '=== Улыбка, Москва: an SMS with a link, and a call at night ==='
KEY=$ULYBKA
say 'A day before, this is what arrives; SMSC.ru says that it did, and what it cost'
becomes 17 delivered
becomes 18 delivered
arrived smsc phone,sender,text
message 17 channel,state,cost

link_of() { # PHONE: the link in its SMS
  sim smsc messages | node -p 'JSON.parse(require("fs").readFileSync(0)).data
    .find(({ phone }) => phone === process.argv[1]).text.match(/http\S+/)[0]' "$1"
}
say 'Anna opens the link. To look changes nothing: a scanner may have looked before her'
LINK=$(link_of 79161234567)
curl -sS "$LINK" | show page
api GET /v1/appointments/a-17 | show . id,status,confirmation
say 'She cannot come: she presses the button. The booking stays until staff cancel it in their own system'
curl -sS "$LINK" --data 'answer=cancel' | show page
hears appointment.cancel-requested 17 data.appointmentId,data.patientId,data.confirmation
api GET /v1/appointments/a-17 | show . id,status,confirmation
say 'Igor asks for another time by his link'
curl -sS "$(link_of 79161234568)" --data 'answer=other-time' --data-urlencode 'note=Лучше в пятницу после шести' | show page
hears task.created 18 data.patientId,data.asks,data.state

say 'Staff see both, and settle them: Anna is called and her visit cancelled, Igor gets his Friday'
api GET '/v1/tasks?state=open' | show data patientId,asks,text
settle() { # PATIENT JSON
  local id
  id=$(api GET '/v1/tasks?state=open' | show data:id "patientId=$1")
  api PATCH "/v1/tasks/$id" "$2" | show . patientId,state,outcome,assignee,note
}
settle 17 '{"outcome":"reached","assignee":"vera","note":"Позвонит сама в январе"}'
settle 18 '{"outcome":"booked","assignee":"vera","note":"Пятница, после шести"}'
put /v1/appointments/a-17 '{"patientId":"17","status":"cancelled","start":"'"$START"'"}'
hears task.done 17 data.patientId,data.asks,data.outcome
hears task.done 18 data.patientId,data.asks,data.outcome

say 'The clinic is closed. Igor asks to be called back: he is answered at once, an ordinary message waits for the morning'
HOURS=$(node -p 'const hour = Number(new Intl.DateTimeFormat("en", { timeZone: "Europe/Moscow", hour: "numeric", hourCycle: "h23" })
  .format()); hour < 12 ? `"start":"14:00","end":"21:00"` : `"start":"06:00","end":"11:00"`')
quietly PATCH /v1/clinic '{"sendWindow":{'"$HOURS"'},"openingHours":{'"$(
  printf '"%s":[{'"$HOURS"'}],' mon tue wed thu fri sat sun | sed 's/,$//')"'}}'
put /v1/templates/callback-received '{"purpose":"transactional","bodies":{"sms":{"ru":{"text":
  "{{patient.name.salutation}}, Вашу просьбу получили. Перезвоним, как только откроемся. {{clinic.name}}"}}}}'
event callback.requested "$(node -p 'new Date().toISOString()')" '{"patientId":"18","phone":"8 916 123-45-68","note":"Болит зуб"}'
arrived smsc phone,text 'text=Игорь Сергеевич, Вашу просьбу получили. Перезвоним, как только откроемся. Улыбка'
hears callback.requested 18 data.patientId,data.source
write '{"patientId":"17","purpose":"transactional","channel":"sms","text":"Анна Петровна, Ваш снимок готов. Улыбка"}'
NOW=$(node -p 'new Date().toISOString()')
api GET '/v1/tasks?state=open' | node -e '
  const { data } = JSON.parse(require("fs").readFileSync(0));
  for (const { dueAt } of data) console.log(`  the call is due ${dueAt > process.argv[1] ? "at the opening" : "now"}`);' "$NOW"
api GET '/v1/tasks?state=open' | show data patientId,asks,phone,text

# ----------------------------------------------------------------------------------------------------------------------
say '=== Clínica Dental Andes, Santiago: STOP, and a conversation ==='
KEY=$(clinic '{"name":"Clínica Dental Andes","timeZone":"America/Santiago","country":"CL","language":"es","currency":"CLP","mode":"live"}')
ANDES=$KEY
quietly PATCH /v1/clinic '{"phone":"+56 2 2555 0101",'"$always"'}'
listen
TO_TWILIO=$(callback_of sms '{"provider":"twilio","tariff":{"CL":"45"},
  "credentials":{"accountSid":"AC00000000000000000000000000000001","authToken":"auth-token"},
  "options":{"baseUrl":"'"$twilio"'","sender":"+15005550006"}}')
sim twilio webhook '{"url":"'"$TO_TWILIO"'"}'
TO_TELEGRAM=$(callback_of telegram '{"provider":"telegram","credentials":{"botToken":"1234567:AAA","secretToken":"andes"},
  "options":{"baseUrl":"'"$telegram"'"}}')
curl -sS "$telegram/bot1234567:AAA/setWebhook" -H 'Content-Type: application/json' \
  --data '{"url":"'"$TO_TELEGRAM"'","secret_token":"andes"}' | show . ok
put /v1/patients/elena '{"name":{"given":"Elena"},"telecom":[{"system":"phone","value":"+56987654321"}]}'
put /v1/patients/diego '{"name":{"given":"Diego"},"telecom":[{"system":"telegram","value":"70101"}]}'

say 'Elena gets an invitation by SMS; Twilio says that it came'
write '{"patientId":"elena","purpose":"care","channel":"sms","text":"Elena, ya es momento de su control. Clínica Dental Andes, +56 2 2555 0101. Para no recibir mensajes, responda BAJA"}'
becomes elena delivered
arrived twilio to,body
say 'She answers STOP. It holds at once: the next message does not leave, and says why'
sim twilio replies '{"address":"+56987654321","text":"STOP"}'
hears patient.opted-out elena data.patientId,data.origin data.origin=reply
api GET '/v1/opt-outs?patientId=elena' | show data patientId,address,channel,purpose,origin
write '{"patientId":"elena","purpose":"care","channel":"sms","text":"Elena, tenemos hora libre mañana. Clínica Dental Andes"}'
arrived twilio to,body

say 'Diego writes in Telegram, in his own words. The MIS hears that he did, never what'
sim telegram replies '{"chatId":"70101","text":"Quiero hablar de mi cita"}'
hears thread.message diego data.patientId,data.channel,data.meaning
say 'He waits for an answer, and staff write one'
api GET '/v1/threads?waiting=true' | show data patientId,channel,state
THREAD=$(api GET '/v1/threads?waiting=true' | show data:id patientId=diego)
api POST "/v1/threads/$THREAD/messages" '{"text":"Con gusto, Diego. ¿Le acomoda que le llamemos hoy por la tarde?"}' | show . patientId,channel
say 'It arrives (of Telegram one hears no more than that it was sent), and nobody waits any more'
arrived telegram chatId,text
becomes diego sent
api GET "/v1/threads/$THREAD" | show messages direction,channel,state,text
api GET '/v1/threads?waiting=true' | show data patientId,channel,state

# ----------------------------------------------------------------------------------------------------------------------
say '=== Nobody but the provider is believed ==='
forged SMSC.ru "$TO_SMSC" --data 'phone=79161234567&mes=STOP&to=79037676757&ts=1772463600&md5=00000000000000000000000000000000'
forged Twilio "$TO_TWILIO" -H 'X-Twilio-Signature: forged' --data-urlencode 'MessageSid=SM1' \
  --data-urlencode 'From=+56987654321' --data-urlencode 'To=+15005550006' --data-urlencode 'Body=START'
forged Telegram "$TO_TELEGRAM" -H 'X-Telegram-Bot-Api-Secret-Token: forged' -H 'Content-Type: application/json' \
  --data '{"update_id":9,"message":{"message_id":9,"date":1772463600,"chat":{"id":70101,"type":"private"},"from":{"id":70101},"text":"STOP"}}'
forged SendGrid "$TO_SENDGRID" -H 'Content-Type: application/json' \
  -H 'X-Twilio-Email-Event-Webhook-Timestamp: 1772463600' -H 'X-Twilio-Email-Event-Webhook-Signature: AAAA' \
  --data '[{"event":"unsubscribe","email":"ana@example.com","sg_event_id":"forged","timestamp":1772463600}]'
say 'Elena is still left alone, and Diego is not'
api GET /v1/opt-outs | show data patientId,address,origin

# ----------------------------------------------------------------------------------------------------------------------
say '=== Clínica Vida again: the MIS is down for a while ==='
KEY=$VIDA
sim webhook faults '{"http5xx":true}'
say 'Meanwhile Bruno asks for another time, and Carla, who is new, writes'
put /v1/patients/carla '{"name":{"given":"Carla","family":"Dias"},"telecom":[{"system":"whatsapp","value":"11 91234-5603"}]}'
sim whatsapp replies '{"address":"+5511912345602","button":"Outro horário"}'
sim whatsapp replies '{"address":"+5511912345603","text":"Oi! Vocês atendem aos sábados?"}'
waiting() { api GET /v1/webhooks/mis | show . waiting; }
awaits 4 waiting
api GET '/v1/webhooks/mis/deliveries?state=waiting' | show data type,state
say 'The MIS answers 503, which is kept; meanwhile staff see all of it here'
tried() { api GET '/v1/webhooks/mis/deliveries?state=waiting' | show data:attempts.0.status attempts.0.status=503; }
awaits 503 tried
echo "  $(tried)"
api GET '/v1/tasks?state=open' | show data patientId,asks,text
api GET '/v1/threads?waiting=true' | show data patientId,channel,state

say 'It is up again, and asks for all of this day once more: each event comes, under the id that it always had'
sim webhook faults '{}'
api POST /v1/webhooks/mis/replay '{"since":"'"$(node -p 'new Date(Date.now() - 3_600_000).toISOString()')"'"}' | show . replayed,next
awaits 0 waiting
api GET /v1/webhooks/mis | show . name,state,waiting
api GET '/v1/webhooks/mis/deliveries?limit=200' | show data type,state
ids() { show data id | tail -n +2 | sort -u; }
lost=$(comm -23 <(api GET '/v1/webhooks/mis/deliveries?limit=200' | ids) <(sim webhook messages | ids) | wc -l)
echo "  events that did not come: $((lost))"

say 'What each clinic has sent and what it cost, how many were answered, and what was not sent and why'
for KEY in "$VIDA" "$ULYBKA" "$ANDES"; do
  api GET '/v1/reports/messages?by=rule,channel,state,reason' | show data name,channel,state,reason,messages,replied,cost,currency
done
