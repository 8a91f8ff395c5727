#!/usr/bin/env bash
# A tour of Retorno by curl, on an empty installation: three test clinics, each with a clock of its own, play what
# Shosp, the practices of good clinics, ONDOC and Dentalink do. Nothing leaves the house.
#
#   RETORNO_URL=http://127.0.0.1:8080 RETORNO_OPERATOR_KEY=… docs/tour.sh
#
# It needs bash, curl and node. Times are UTC. A test compares what it prints with tour/expected.txt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
url=${RETORNO_URL:-http://127.0.0.1:8080}

. "$here/tour/words.sh"

clock() { quietly POST /v1/test/clock "{\"now\":\"$1\"}"; }
explain() { # RULE PATIENT DAY: what became of it, and the checks that failed
  local answer
  answer=$(api GET "/v1/rules/$1/explain?patientId=$2&on=$3")
  printf '%s' "$answer" | show . patientId,outcome,reason
  printf '%s' "$answer" | show checks name,seen,wanted passed=false
}

# ----------------------------------------------------------------------------------------------------------------------
say '=== Clínica Vida, São Paulo: recalls as Shosp has them ==='
KEY=$(clinic '{"name":"Clínica Vida","timeZone":"America/Sao_Paulo","country":"BR","language":"pt-BR","currency":"BRL",
  "mode":"test","now":"2026-01-05T09:00:00-03:00"}')
quietly PATCH /v1/clinic '{"phone":"+55 11 5555-0101"}'

sms() { put /v1/channels/sms '{"provider":"smsc","enabled":'"$1"',"credentials":{"apiKey":"tour"},"tariff":{"BR":"0.12"}}'; }
email() {
  put /v1/channels/email '{"provider":"sendgrid","enabled":'"$1"',"credentials":{"apiKey":"tour"},
    "options":{"sender":"vida@example.com"},"tariff":{"default":"0.01"}}'
}
sms true
email true

agreed='"consent":{"care":{"sms":"granted","email":"granted"},"marketing":{"sms":"granted","email":"granted"}}'
put /v1/patients/ana '{"name":{"given":"Ana","family":"Souza"},"birthDate":"1973-05-10","gender":"female",
  "payer":{"id":"amil","name":"Amil"},"tags":["hipertensa"],
  "telecom":[{"system":"phone","value":"11 91234-5601"},{"system":"email","value":"ana@example.com"}],'"$agreed"'}'
put /v1/patients/bruno '{"name":{"given":"Bruno","family":"Lima"},"birthDate":"1995-02-01","gender":"male",
  "payer":{"id":"unimed","name":"Unimed"},
  "telecom":[{"system":"phone","value":"11 91234-5602"},{"system":"email","value":"bruno@example.com"}],'"$agreed"'}'
put /v1/patients/carla '{"name":{"given":"Carla","family":"Dias"},"birthDate":"1984-07-20","gender":"female",
  "payer":{"id":"amil","name":"Amil"},"tags":["vip"],
  "telecom":[{"system":"phone","value":"11 91234-5603"}],'"$agreed"'}'
put /v1/patients/davi '{"name":{"given":"Davi","family":"Rocha"},"birthDate":"1955-01-15","gender":"male",
  "telecom":[{"system":"phone","value":"11 91234-5604"}]}'

visit() { # ID PATIENT DAY PRACTITIONER SERVICE PAYER
  put "/v1/visits/$1" "{\"patientId\":\"$2\",\"status\":\"finished\",\"start\":\"$3T10:00:00-03:00\",\"amount\":\"250.00\",
    \"practitioner\":{\"id\":\"$4\"},\"services\":[{\"id\":\"$5\"}],\"payer\":{\"id\":\"$6\"}}"
}
visit v1 ana 2026-01-05 dra-lima cardio amil
visit v2 bruno 2026-01-05 dr-reis limpeza unimed
visit v3 carla 2026-01-05 dra-lima limpeza amil
visit v4 davi 2026-01-05 dra-lima cardio amil

rule DAYS30 '{"name":"30 dias: todos","purpose":"care","sendAt":"10:00",
  "trigger":{"type":"visit","after":"P30D"},
  "steps":[{"channel":"sms","template":"recall"}]}'
rule DAYS60 '{"name":"60 dias: Dra. Lima, Amil, hipertensas de 40 anos ou mais","purpose":"care","sendAt":"10:00",
  "trigger":{"type":"visit","after":"P60D","practitioners":["dra-lima"]},
  "audience":{"all":[{"payerAtVisit":["amil"]},{"gender":["female"]},{"age":{"gte":40}},{"tags":["hipertensa"]}]},
  "steps":[{"channel":"email","template":"recall"}]}'
rule DAYS90 '{"name":"90 dias depois da limpeza","purpose":"care","sendAt":"10:00",
  "trigger":{"type":"visit","after":"P90D","services":["limpeza"]},
  "steps":[{"channels":["sms","email"],"template":"recall"}]}'

say 'Before: what the rule of 30 days would do in February, and what it would cost'
PREVIEW=$(api POST "/v1/rules/$DAYS30/preview" '{"from":"2026-02-01","to":"2026-02-28"}')
printf '%s' "$PREVIEW" | show . recipients,messages,suppressed,cost
printf '%s' "$PREVIEW" | show samples patientId,channel,scheduledAt,segments

say 'SMS is switched off when the thirtieth day comes, e-mail is not'
sms false
clock 2026-02-06T12:00:00-03:00
api GET /v1/channels | show data channel,enabled
messages "ruleId=$DAYS30" patientId,channel,state,reason
say 'SMS is switched on again: what waited goes'
sms true
messages "ruleId=$DAYS30" patientId,channel,state,reason,sentAt

say 'Bruno comes back on the tenth of February; e-mail is switched off when the sixtieth day of the others comes'
clock 2026-02-10T12:00:00-03:00
visit v5 bruno 2026-02-10 dr-reis limpeza unimed
email false
clock 2026-03-06T12:00:00-03:00
messages "ruleId=$DAYS60" patientId,channel,state,reason
say 'E-mail is switched on again; the ninetieth day falls on a Sunday, when nobody is invited in Brazil'
email true
clock 2026-04-20T12:00:00-03:00
messages "ruleId=$DAYS60"
messages "ruleId=$DAYS90"

say 'After: what was sent, by rule, channel and state, and what it cost'
api GET '/v1/reports/messages?by=rule,channel,state,reason' | show data name,channel,state,reason,messages,cost,currency
say 'Who returned, what it brought and what it cost'
api GET /v1/reports/returns | show data name,journeys,returned,revenue,cost,roi,open
say 'Why Davi got nothing after 30 days, and Carla nothing after 60'
explain "$DAYS30" davi 2026-02-04
explain "$DAYS60" carla 2026-03-06

# ----------------------------------------------------------------------------------------------------------------------
say '=== Улыбка, Москва: reminders and follow-ups, greetings and mailings ==='
KEY=$(clinic '{"name":"Улыбка","timeZone":"Europe/Moscow","country":"RU","language":"ru","currency":"RUB",
  "mode":"test","now":"2026-03-02T09:00:00+03:00"}')
quietly PATCH /v1/clinic '{"phone":"+7 495 555-01-01","caps":{"perDay":2,"perWeek":5}}'
put /v1/channels/sms '{"provider":"smsc","credentials":{"apiKey":"tour"},"tariff":{"RU":"4.50"}}'

template() { put "/v1/templates/$1" '{"purpose":"'"$2"'","bodies":{"sms":{"ru":{"text":"'"$3"'"}}}}'; }
template thanks transactional '{{patient.name.salutation}}, спасибо, что порекомендовали нас! {{clinic.name}}'
template check transactional \
  '{{patient.name.salutation}}, у нас записан Ваш номер {{onFile.phone}}. Он ещё верен? {{link.verify}}'
template welcome transactional '{{patient.name.salutation}}, добро пожаловать! {{clinic.name}}, {{clinic.phone}}'
template women marketing '{{patient.name.salutation}}, с 8 Марта! Весной чистка со скидкой 20%. Имеются противопоказания. Отказ: СТОП. {{clinic.name}}'
template implants marketing '{{patient.name.salutation}}, в марте консультация по имплантации бесплатная. Имеются противопоказания. Отказ: СТОП. {{clinic.name}}'
put /v1/templates/late '{"purpose":"transactional","bodies":{
  "sms":{"ru":{"text":"{{patient.name.salutation}}, извините, пожалуйста: приём начнётся немного позже {{appointment.time}}. {{clinic.name}}"}},
  "task":{"ru":{"text":"Приём задерживается больше чем на 15 минут: {{patient.name.salutation}}. Узнать причину, извиниться, предложить подождать, другое время или другого врача."}}}}'

agreed='"consent":{"care":{"sms":"granted"},"marketing":{"sms":"granted"}}'
put /v1/patients/17 '{"name":{"family":"Иванова","given":"Анна","middle":"Петровна"},"gender":"female","birthDate":"1985-03-12",
  "telecom":[{"system":"phone","value":"8 (916) 123-45-67"}],'"$agreed"'}'
put /v1/patients/18 '{"name":{"family":"Орлов","given":"Игорь","middle":"Сергеевич"},"gender":"male","birthDate":"1970-03-09",
  "reminderPreference":"PT3H","telecom":[{"system":"phone","value":"8 (916) 123-45-68"}],'"$agreed"'}'
put /v1/patients/20 '{"name":{"family":"Зимин","given":"Павел"},"gender":"male","birthDate":"2001-06-30",
  "telecom":[{"system":"phone","value":"8 (916) 123-45-70"}],'"$agreed"'}'

reminder() { # BEFORE TEMPLATE
  rule REMINDER '{"name":"Напоминание '"$1"'","purpose":"transactional","trigger":{"type":"appointment","before":"'"$1"'"},
    "steps":[{"channel":"sms","template":"'"$2"'"}]}'
}
reminder P14D reminder
reminder P2D confirmation
reminder PT2H reminder
rule EVENING '{"name":"Вечером после визита","purpose":"transactional","sendAt":"19:30",
  "trigger":{"type":"visit","after":"PT1H","facts":["pain","prescription"]},
  "steps":[{"channel":"sms","template":"follow-up"}]}'
rule NEXTDAY '{"name":"На другой день после обследования","purpose":"transactional","sendAt":"11:00",
  "trigger":{"type":"visit","after":"P1D","facts":["examination"]},
  "steps":[{"channel":"sms","template":"follow-up"}]}'
rule LATE '{"name":"Задержка","purpose":"transactional",
  "trigger":{"type":"event","event":"appointment.delayed"},
  "steps":[{"channel":"sms","template":"late"}]}'
rule LATETASK '{"name":"Задержка больше 15 минут","purpose":"transactional",
  "trigger":{"type":"event","event":"appointment.delayed","where":{"minutes":{"gt":15}}},
  "steps":[{"channel":"task","template":"late"}]}'
rule THANKS '{"name":"Спасибо за рекомендацию","purpose":"transactional",
  "trigger":{"type":"event","event":"referral.recorded"},
  "steps":[{"channel":"sms","template":"thanks"}]}'
rule CHECK '{"name":"Сверка телефона","purpose":"transactional","sendAt":"12:00",
  "trigger":{"type":"data-check","field":"phone","after":"P3M"},"audience":{"visits":{"gte":1}},
  "steps":[{"channel":"sms","template":"check"}]}'
rule WELCOME '{"name":"Добро пожаловать","purpose":"transactional","trigger":{"type":"patient"},
  "steps":[{"channel":"sms","template":"welcome"}]}'

say 'Marketing in Russia is not switched on without the name of who answers for it'
BIRTHDAY=$(draft '{"name":"С днём рождения","purpose":"marketing","unlessBooked":false,"sendAt":"11:00",
  "trigger":{"type":"birthday"},
  "steps":[{"channel":"sms","template":"birthday"}]}')
quietly POST "/v1/rules/$BIRTHDAY/activate" '{}' || true
by='{"by":"Мария Кузнецова"}'
quietly POST "/v1/rules/$BIRTHDAY/activate" "$by"
rule WOMEN '{"name":"8 Марта","purpose":"marketing","unlessBooked":false,"sendAt":"10:00",
  "trigger":{"type":"calendar","date":"03-08"},"audience":{"gender":["female"]},
  "steps":[{"channel":"sms","template":"women"}]}' "$by"
rule OVER35 '{"name":"Имплантация: женщины и мужчины от 35","purpose":"marketing","unlessBooked":false,"sendAt":"10:00",
  "trigger":{"type":"calendar","date":"2026-03-10"},
  "audience":{"all":[{"gender":["female","male"]},{"age":{"gte":35}}]},
  "steps":[{"channel":"sms","template":"implants"}]}' "$by"

say 'Before: the mailing to women and men of 35 and more, with its price, and why Pavel is not among them'
api POST "/v1/rules/$OVER35/preview" '{"from":"2026-03-10","to":"2026-03-10"}' | show . recipients,messages,suppressed,cost
explain "$OVER35" 20 2026-03-10

say 'Birthdays of next week'
api GET '/v1/birthdays?from=2026-03-09&to=2026-03-15' | show data on,patientId,birthDate

say 'Anna and Igor are booked for the twentieth; Igor asked to be reminded three hours before, and not otherwise'
put /v1/appointments/a1 '{"patientId":"17","status":"booked","start":"2026-03-20T12:00:00+03:00","createdAt":"2026-03-02T09:00:00+03:00"}'
put /v1/appointments/a2 '{"patientId":"18","status":"booked","start":"2026-03-20T15:00:00+03:00","createdAt":"2026-03-02T09:00:00+03:00"}'
clock 2026-03-18T13:00:00+03:00
say 'Anna answers the request to confirm'
api POST /v1/test/replies '{"from":"+79161234567","text":"Да"}' | show . patientId,meaning
api GET /v1/appointments/a1 | show . id,confirmation

say 'On the day Igor hears that the doctor is late, and staff that it is more than a quarter of an hour'
clock 2026-03-20T14:00:00+03:00
event appointment.delayed 2026-03-20T14:00:00+03:00 '{"id":"a2","minutes":20,"reason":"emergency"}'
api GET /v1/tasks | show data patientId,state,text

say 'Anna had pain, Igor has a new prescription; Anna has sent Olga, who is new and is examined four days later'
event visit.upserted 2026-03-20T14:00:00+03:00 '{"id":"v1","patientId":"17","appointmentId":"a1","status":"finished",
  "start":"2026-03-20T12:00:00+03:00","end":"2026-03-20T12:40:00+03:00","facts":["pain"],"amount":"4500.00"}'
put /v1/patients/19 '{"name":{"family":"Белова","given":"Ольга","middle":"Петровна"},"gender":"female","birthDate":"1990-11-01",
  "referredBy":"17","telecom":[{"system":"phone","value":"8 (916) 123-45-69"}],'"$agreed"'}'
event referral.recorded 2026-03-20T14:00:00+03:00 '{"patientId":"17","referredId":"19"}'
clock 2026-03-20T16:00:00+03:00
event visit.upserted 2026-03-20T16:00:00+03:00 '{"id":"v2","patientId":"18","appointmentId":"a2","status":"finished",
  "start":"2026-03-20T15:20:00+03:00","end":"2026-03-20T15:50:00+03:00","facts":["prescription"],"amount":"3000.00"}'
clock 2026-03-24T18:00:00+03:00
event visit.upserted 2026-03-24T18:00:00+03:00 '{"id":"v3","patientId":"19","status":"finished",
  "start":"2026-03-24T17:00:00+03:00","end":"2026-03-24T17:40:00+03:00","facts":["examination"],"amount":"6000.00"}'
clock 2026-07-01T13:00:00+03:00
say 'All that was said in four months'
messages 'state=delivered&channel=sms' sentAt,patientId,text

# ----------------------------------------------------------------------------------------------------------------------
say '=== Clínica Dental Andes, Santiago: lost patients, step by step as Dentalink does ==='
KEY=$(clinic '{"name":"Clínica Dental Andes","timeZone":"America/Santiago","country":"CL","language":"es","currency":"CLP",
  "mode":"test","now":"2026-03-02T09:00:00-03:00"}')
quietly PATCH /v1/clinic '{"phone":"+56 2 2555 0101"}'
put /v1/channels/sms '{"provider":"twilio","tariff":{"CL":"45"},"options":{"sender":"+56225550101"},
  "credentials":{"accountSid":"AC00000000000000000000000000000001","authToken":"tour"}}'
put /v1/channels/email '{"provider":"sendgrid","tariff":{"default":"1"},"options":{"sender":"andes@example.com"},
  "credentials":{"apiKey":"tour"}}'

lost() { # ID GIVEN TELECOM [MORE] [BORN]
  put "/v1/patients/$1" "{\"name\":{\"given\":\"$2\"},\"birthDate\":\"${5:-1980-01-01}\",\"telecom\":[$3]${4:-}}"
  put "/v1/visits/v-$1" "{\"patientId\":\"$1\",\"status\":\"finished\",\"start\":\"2025-09-10T10:00:00-03:00\",
    \"services\":[{\"id\":\"protesis\"}],\"amount\":\"60000\"}"
}
mail() { printf '{"system":"email","value":"%s@example.com"}' "$1"; }
tel() { printf '{"system":"phone","value":"+5698765432%s"}' "$1"; }
lost elena Elena "$(mail elena),$(tel 1)"
lost fabio Fabio "$(tel 2)"
lost gloria Gloria "$(mail gloria),$(tel 3)"
lost hugo Hugo ''
lost ines Inés "$(mail ines),$(tel 4)" ',"consent":{"care":{"email":"denied","sms":"denied","call":"denied"}}'
lost jorge Jorge "$(mail jorge),$(tel 5)" '' 2001-01-01
lost karen Karen "$(mail karen),$(tel 6)"
lost luis Luis "$(mail luis),$(tel 7)"
say 'Luis asked to be left alone, and Karen, who has not come either, has just sent a friend'
quietly POST /v1/opt-outs '{"patientId":"luis"}'
put /v1/patients/nora '{"name":{"given":"Nora"},"telecom":[{"system":"phone","value":"+56987654328"}]}'
event referral.recorded 2026-03-02T09:00:00-03:00 '{"patientId":"karen","referredId":"nora"}'

put /v1/templates/last-word '{"purpose":"care","bodies":{"sms":{"es":{"text":"{{patient.name.salutation|Hola}}, en {{clinic.name}} seguimos a su disposición. Cuando desee agendar su control: {{clinic.phone}}. Para no recibir mensajes, responda BAJA"}}}}'
rule LADDER '{"name":"Recuperar pacientes","purpose":"care","sendAt":"10:00",
  "trigger":{"type":"inactive","after":"P6M"},
  "audience":{"all":[{"age":{"gte":30}},{"not":{"referredWithin":"P6M"}}]},
  "steps":[{"channel":"email","template":"recall"},
           {"channel":"sms","template":"recall","after":"P3D"},
           {"channel":"task","template":"recall","after":"P3D"},
           {"channel":"sms","template":"last-word","after":"P2D"}],
  "stopOn":["booked","visited","replied","opted-out","task-outcome"]}'
say 'Before: what the ladder would do in a fortnight, and whom it would begin with'
api POST "/v1/rules/$LADDER/preview" '{"from":"2026-03-02","to":"2026-03-16"}' | show . recipients,messages,suppressed,cost
api GET "/v1/rules/$LADDER/due?from=2026-03-02&to=2026-03-16" | show data patientId,channel,outcome,reason

clock 2026-03-11T12:00:00-03:00
say 'Gloria answers the e-mail'
GLORIA=$(api GET '/v1/messages?patientId=gloria' | show data:id channel=email)
api POST /v1/test/replies "{\"messageId\":\"$GLORIA\",\"text\":\"Llámenme por favor\"}" | show . patientId,meaning
clock 2026-03-13T12:00:00-03:00
say 'Where each of them stands after three days: Fabio has no e-mail, Hugo has nothing but a name'
messages "ruleId=$LADDER" patientId,step,channel,state,reason,sentAt
say 'Staff call: Fabio books, Hugo has moved away; their ladders end'
settle() { # PATIENT JSON
  local id
  id=$(api GET '/v1/tasks?state=open' | show data:id "patientId=$1" "ruleId=$LADDER")
  api PATCH "/v1/tasks/$id" "$2" | show . patientId,outcome,lossReason,note
}
settle fabio '{"outcome":"booked"}'
settle hugo '{"outcome":"refused","lossReason":"moved","note":"Vive en Concepción"}'
put /v1/appointments/f1 '{"patientId":"fabio","status":"booked","start":"2026-03-19T10:00:00-03:00"}'
clock 2026-03-16T12:00:00-03:00
say 'Nobody answers at Elena: hers goes on'
settle elena '{"outcome":"no-answer","note":"Llamar por la tarde"}'
clock 2026-03-19T12:00:00-03:00
put /v1/visits/f1 '{"patientId":"fabio","appointmentId":"f1","status":"finished","start":"2026-03-19T10:00:00-03:00",
  "services":[{"id":"corona"}],"amount":"85000"}'
messages "ruleId=$LADDER&patientId=elena" step,channel,state,sentAt,text
messages "ruleId=$LADDER&patientId=fabio" step,channel,state,reason,sentAt
messages "ruleId=$LADDER&patientId=hugo" step,channel,state,reason,sentAt
say 'What staff had to do'
api GET /v1/tasks | show data patientId,state,outcome,text

say 'After: what was sent, what was not and why, and who returned'
api GET "/v1/reports/messages?by=channel,state,reason&ruleId=$LADDER" | show data channel,state,reason,messages,cost,currency
api GET "/v1/reports/returns?ruleId=$LADDER" | show data name,journeys,booked,returned,revenue,cost,open
say 'The reasons of those who got nothing: held, suppressed, and two who never matched'
explain "$LADDER" ines 2026-03-10
explain "$LADDER" luis 2026-03-10
explain "$LADDER" jorge 2026-03-10
explain "$LADDER" karen 2026-03-10

say 'A family is due together: one message'
quietly PATCH /v1/clinic '{"householdMerging":true}'
put /v1/templates/family '{"purpose":"care","bodies":{"sms":{"es":{"text":"{{patient.name.given}}: les esperamos para su control. {{clinic.name}}. Para no recibir mensajes, responda BAJA"}}}}'
rule FAMILY '{"name":"Control","purpose":"care","sendAt":"10:00",
  "trigger":{"type":"visit","after":"P10D","services":["control"]},
  "steps":[{"channel":"sms","template":"family"}]}'
put /v1/patients/rosa '{"name":{"given":"Rosa"},"birthDate":"1986-01-01","household":"soto","telecom":[{"system":"phone","value":"+56987654330"}]}'
put /v1/patients/tito '{"name":{"given":"Tito"},"birthDate":"2016-01-01","household":"soto","guardianId":"rosa"}'
for who in rosa tito; do
  put "/v1/visits/c-$who" "{\"patientId\":\"$who\",\"status\":\"finished\",\"start\":\"2026-03-19T11:00:00-03:00\",\"services\":[{\"id\":\"control\"}]}"
done
clock 2026-03-30T12:00:00-03:00
messages "ruleId=$FAMILY" patientId,state,reason,text

say 'Two slots are free and three patients are due: two are invited, the third when another slot is told of'
rule SLOTS '{"name":"Higiene","purpose":"care","sendAt":"10:00","catchUp":"P10D",
  "trigger":{"type":"visit","after":"P10D","services":["higiene"]},
  "steps":[{"channel":"sms","template":"recall"}]}'
for n in 1 2 3; do
  put "/v1/patients/h$n" "{\"name\":{\"given\":\"Paciente $n\"},\"telecom\":[{\"system\":\"phone\",\"value\":\"+5698765434$n\"}]}"
  put "/v1/visits/h$n" "{\"patientId\":\"h$n\",\"status\":\"finished\",\"start\":\"2026-03-30T1$((n - 1)):00:00-03:00\",\"services\":[{\"id\":\"higiene\"}]}"
done
event capacity.updated 2026-03-30T12:00:00-03:00 '{"service":"higiene","day":"2026-04-20","free":2}'
clock 2026-04-10T12:00:00-04:00
messages "ruleId=$SLOTS" patientId,state,reason
event capacity.updated 2026-04-10T12:00:00-04:00 '{"service":"higiene","day":"2026-04-20","free":3}'
messages "ruleId=$SLOTS" patientId,state,reason

say 'A new rule lets the past in, one patient a day; Jorge gets a day of his own'
rule BACKLOG '{"name":"Vuelva","purpose":"care","sendAt":"11:00",
  "trigger":{"type":"visit","after":"P120D","services":["protesis"]},"audience":{"age":{"gte":20}},
  "backlog":{"perDay":1,"order":"most-overdue"},
  "steps":[{"channel":"sms","template":"recall"}]}'
put "/v1/patients/jorge/recalls/$BACKLOG" '{"dueOn":"2026-04-15","reason":"Vacaciones"}'
clock 2026-04-16T12:00:00-04:00
messages "ruleId=$BACKLOG" sentAt,patientId,state,reason

say 'Half of forty are held out, to see what the rule is worth: who gets nothing is drawn once and kept'
rule HOLDOUT '{"name":"Blanqueamiento","purpose":"care","sendAt":"10:00","holdout":0.5,
  "trigger":{"type":"visit","after":"P1D","services":["blanqueamiento"]},
  "steps":[{"channel":"email","template":"recall"}]}'
for n in $(seq 10 49); do
  printf '{"id":"p%s","type":"patient.upserted","occurredAt":"2026-04-16T12:00:00-04:00","data":{"id":"b%s","telecom":[%s]}}\n' "$n" "$n" "$(mail "b$n")"
  printf '{"id":"w%s","type":"visit.upserted","occurredAt":"2026-04-16T12:00:00-04:00","data":{"id":"b%s","patientId":"b%s","status":"finished","start":"2026-04-16T10:00:00-04:00","services":[{"id":"blanqueamiento"}]}}\n' "$n" "$n" "$n"
done | curl -sS "$url/v1/events" -H "Authorization: Bearer $KEY" -H 'Content-Type: application/x-ndjson' --data-binary @- |
  show . accepted,duplicates,stale,rejected
clock 2026-04-17T12:00:00-04:00
RETURNS=$(api GET "/v1/reports/returns?ruleId=$HOLDOUT")
written=$(printf '%s' "$RETURNS" | show data:journeys)
heldout=$(printf '%s' "$RETURNS" | show data:holdout)
counted=$(api GET "/v1/reports/messages?by=state,reason&ruleId=$HOLDOUT" | show data:messages reason=holdout)
echo "  written to and held out: $((written + heldout)); both arms have patients: $([ "$written" -gt 0 ] && [ "$heldout" -gt 0 ] && echo yes || echo no)"
echo "  held out by both reports alike: $([ "$counted" = "$heldout" ] && echo yes || echo "$counted and $heldout")"
for n in $(seq 10 49); do
  ANSWER=$(api GET "/v1/rules/$HOLDOUT/explain?patientId=b$n&on=2026-04-17")
  case $ANSWER in *'"reason":"holdout"'*) break ;; esac
done
printf '%s' "$ANSWER" | show . outcome,reason
