#!/usr/bin/env bash
# A tour of Retorno by curl, on an empty installation: three test clinics, each with a clock of its own, play what
# Shosp, the practices of good clinics, ONDOC and Dentalink do. Nothing leaves the house.
#
#   RETORNO_URL=http://127.0.0.1:8080 RETORNO_OPERATOR_KEY=… docs/tour/tour.sh
#
# What it prints is compared with expected.txt by a test.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
url=${RETORNO_URL:-http://127.0.0.1:8080}

show() { node "$here/show.mjs" "$@"; }
say() { printf '\n%s\n' "$*"; }
# api METHOD PATH [JSON]
api() {
  local body=()
  if [ $# -gt 2 ]; then body=(-H 'Content-Type: application/json' --data "$3"); fi
  curl -sS -X "$1" "$url$2" -H "Authorization: Bearer $KEY" ${body[@]+"${body[@]}"}
}
put() { # PATH JSON: says nothing unless it is refused
  local answer
  answer=$(api PUT "$1" "$2")
  case $answer in *'"status":4'*) printf '%s' "$answer" | show id ;; esac
}
clinic() { KEY=$RETORNO_OPERATOR_KEY api POST /v1/clinics "$1" | show key; }
rule() { # name JSON: makes a rule and switches it on
  local id
  id=$(api POST /v1/rules "$2" | show id)
  api POST "/v1/rules/$id/activate" "${3:-{\}}" >/dev/null
  printf -v "$1" %s "$id"
}
clock() { api POST /v1/test/clock "{\"now\":\"$1\"}" | show now >/dev/null; }
messages() { api GET "/v1/messages?limit=200&$1" | show data "${2:-sentAt,patientId,channel,state,text}"; }
told=0
event() { # TYPE OCCURRED-AT DATA
  told=$((told + 1))
  api POST /v1/events "{\"id\":\"tour-$told\",\"type\":\"$1\",\"occurredAt\":\"$2\",\"data\":$3}" >/dev/null
}

say '=== Clínica Vida, São Paulo: recalls as Shosp has them ==='
KEY=$(clinic '{"name":"Clínica Vida","timeZone":"America/Sao_Paulo","country":"BR","language":"pt-BR","currency":"BRL","mode":"test","now":"2026-01-05T09:00:00-03:00"}')
api PATCH /v1/clinic '{"phone":"+55 11 5555-0101"}' >/dev/null
put /v1/channels/sms '{"provider":"smsc","credentials":{"apiKey":"tour"},"tariff":{"BR":"0.12"}}'
put /v1/channels/email '{"provider":"sendgrid","credentials":{"apiKey":"tour"},"options":{"sender":"vida@example.com"},"tariff":{"default":"0.01"}}'
agreed='"consent":{"care":{"sms":"granted","email":"granted"},"marketing":{"sms":"granted","email":"granted"}}'
put /v1/patients/ana '{"name":{"given":"Ana","family":"Souza"},"birthDate":"1973-05-10","gender":"female","payer":{"id":"amil","name":"Amil"},"tags":["hipertensa"],"telecom":[{"system":"phone","value":"11 91234-5601"},{"system":"email","value":"ana@example.com"}],'"$agreed"'}'
put /v1/patients/bruno '{"name":{"given":"Bruno","family":"Lima"},"birthDate":"1995-02-01","gender":"male","payer":{"id":"unimed","name":"Unimed"},"telecom":[{"system":"phone","value":"11 91234-5602"},{"system":"email","value":"bruno@example.com"}],'"$agreed"'}'
put /v1/patients/carla '{"name":{"given":"Carla","family":"Dias"},"birthDate":"1984-07-20","gender":"female","payer":{"id":"amil","name":"Amil"},"tags":["vip"],"telecom":[{"system":"phone","value":"11 91234-5603"}],'"$agreed"'}'
put /v1/patients/davi '{"name":{"given":"Davi","family":"Rocha"},"birthDate":"1955-01-15","gender":"male","telecom":[{"system":"phone","value":"11 91234-5604"}]}'
visit() { # ID PATIENT DAY PRACTITIONER SERVICE
  put "/v1/visits/$1" "{\"patientId\":\"$2\",\"status\":\"finished\",\"start\":\"$3T10:00:00-03:00\",\"practitioner\":{\"id\":\"$4\"},\"services\":[{\"id\":\"$5\"}],\"payer\":{\"id\":\"${6:-amil}\"},\"amount\":\"250.00\"}"
}
visit v1 ana 2026-01-05 dra-lima cardio
visit v2 bruno 2026-01-05 dr-reis limpeza unimed
visit v3 carla 2026-01-05 dra-lima limpeza
visit v4 davi 2026-01-05 dra-lima cardio
rule DAYS30 '{"name":"30 dias, todos","purpose":"care","trigger":{"type":"visit","after":"P30D"},"sendAt":"10:00","steps":[{"channel":"sms","template":"recall"}]}'
rule DAYS60 '{"name":"60 dias, Dra. Lima, Amil, hipertensas de 40 anos ou mais","purpose":"care","trigger":{"type":"visit","after":"P60D","practitioners":["dra-lima"]},"audience":{"all":[{"payerAtVisit":["amil"]},{"gender":["female"]},{"age":{"gte":40}},{"tags":["hipertensa"]}]},"sendAt":"10:00","steps":[{"channel":"email","template":"recall"}]}'
rule DAYS90 '{"name":"90 dias depois da limpeza","purpose":"care","trigger":{"type":"visit","after":"P90D","services":["limpeza"]},"sendAt":"10:00","steps":[{"channels":["sms","email"],"template":"recall"}]}'
say 'Preview of the rule of 30 days, for February: recipients, messages, who gets nothing, cost'
api POST "/v1/rules/$DAYS30/preview" '{"from":"2026-02-01","to":"2026-02-28"}' | show . recipients,messages,suppressed,cost
api POST "/v1/rules/$DAYS30/preview" '{"from":"2026-02-01","to":"2026-02-28"}' | show samples patientId,channel,scheduledAt,segments
say 'SMS is switched off, the sixth of February comes, and it is switched on again'
put /v1/channels/sms '{"provider":"smsc","enabled":false,"credentials":{"apiKey":"tour"},"tariff":{"BR":"0.12"}}'
clock 2026-02-06T12:00:00-03:00
messages "ruleId=$DAYS30" patientId,channel,state,reason
put /v1/channels/sms '{"provider":"smsc","enabled":true,"credentials":{"apiKey":"tour"},"tariff":{"BR":"0.12"}}'
messages "ruleId=$DAYS30" patientId,channel,state,reason,sentAt
say 'Bruno comes back on the tenth; sixty and ninety days pass for the others'
clock 2026-02-10T12:00:00-03:00
visit v5 bruno 2026-02-10 dr-reis limpeza unimed
clock 2026-04-20T12:00:00-03:00
messages "ruleId=$DAYS60"
messages "ruleId=$DAYS90"
say 'What was sent, by rule, channel and state'
api GET /v1/reports/messages | show data name,channel,state,reason,messages,cost
say 'Who returned, and what it cost'
api GET /v1/reports/returns | show data name,journeys,returned,revenue,cost,open
say 'Why Davi got nothing'
api GET "/v1/rules/$DAYS30/explain?patientId=davi&on=2026-02-04" | show . outcome,reason

say '=== Улыбка, Москва: reminders and follow-ups, greetings and mailings ==='
KEY=$(clinic '{"name":"Улыбка","timeZone":"Europe/Moscow","country":"RU","language":"ru","currency":"RUB","mode":"test","now":"2026-03-02T09:00:00+03:00"}')
api PATCH /v1/clinic '{"phone":"+7 495 555-01-01","caps":{"perDay":2,"perWeek":5}}' >/dev/null
put /v1/channels/sms '{"provider":"smsc","credentials":{"apiKey":"tour"},"tariff":{"RU":"4.50"}}'
agreed='"consent":{"care":{"sms":"granted"},"marketing":{"sms":"granted"}}'
put /v1/templates/thanks '{"purpose":"transactional","bodies":{"sms":{"ru":{"text":"{{patient.name.salutation}}, спасибо, что порекомендовали нас! {{clinic.name}}"}}}}'
put /v1/templates/late '{"purpose":"transactional","bodies":{"sms":{"ru":{"text":"{{patient.name.salutation}}, извините: приём начнётся немного позже {{appointment.time}}. {{clinic.name}}"}},"task":{"ru":{"text":"Приём задерживается больше чем на 15 минут. Позвонить, извиниться и предложить варианты."}}}}'
put /v1/templates/check '{"purpose":"transactional","bodies":{"sms":{"ru":{"text":"{{patient.name.salutation}}, у нас записан Ваш номер {{onFile.phone}}. Он ещё верен? {{link.verify}}"}}}}'
put /v1/templates/welcome '{"purpose":"transactional","bodies":{"sms":{"ru":{"text":"{{patient.name.salutation}}, добро пожаловать! {{clinic.name}}, {{clinic.phone}}"}}}}'
put /v1/templates/women '{"purpose":"marketing","bodies":{"sms":{"ru":{"text":"{{patient.name.salutation}}, с 8 Марта! Весной чистка со скидкой 20%. Имеются противопоказания. Отказ: СТОП. {{clinic.name}}"}}}}'
put /v1/templates/implants '{"purpose":"marketing","bodies":{"sms":{"ru":{"text":"{{patient.name.salutation}}, в марте консультация хирурга бесплатно. Имеются противопоказания. Отказ: СТОП. {{clinic.name}}"}}}}'
put /v1/patients/17 '{"name":{"family":"Иванова","given":"Анна","middle":"Петровна"},"gender":"female","birthDate":"1985-03-12","telecom":[{"system":"phone","value":"8 (916) 123-45-67"}],'"$agreed"'}'
put /v1/patients/18 '{"name":{"family":"Орлов","given":"Игорь","middle":"Сергеевич"},"gender":"male","birthDate":"1970-03-09","reminderPreference":"PT3H","telecom":[{"system":"phone","value":"8 (916) 123-45-68"}],'"$agreed"'}'
for step in 'P14D reminder' 'P2D confirmation' 'PT2H reminder'; do
  set -- $step
  rule CASCADE '{"name":"Напоминание '"$1"'","purpose":"transactional","trigger":{"type":"appointment","before":"'"$1"'"},"steps":[{"channel":"sms","template":"'"$2"'"}]}'
done
rule FOLLOWUP '{"name":"Вечером после боли","purpose":"transactional","trigger":{"type":"visit","after":"PT1H","facts":["pain","prescription","examination"]},"sendAt":"19:30","steps":[{"channel":"sms","template":"follow-up"}]}'
rule LATE '{"name":"Задержка","purpose":"transactional","trigger":{"type":"event","event":"appointment.delayed"},"steps":[{"channel":"sms","template":"late"}]}'
rule LATETASK '{"name":"Задержка больше 15 минут","purpose":"transactional","trigger":{"type":"event","event":"appointment.delayed","where":{"minutes":{"gt":15}}},"steps":[{"channel":"task","template":"late"}]}'
rule THANKS '{"name":"Спасибо за рекомендацию","purpose":"transactional","trigger":{"type":"event","event":"referral.recorded"},"steps":[{"channel":"sms","template":"thanks"}]}'
rule CHECK '{"name":"Сверка телефона","purpose":"transactional","trigger":{"type":"data-check","field":"phone","after":"P6M"},"audience":{"visits":{"gte":1}},"sendAt":"12:00","steps":[{"channel":"sms","template":"check"}]}'
rule WELCOME '{"name":"Добро пожаловать","purpose":"transactional","trigger":{"type":"patient"},"steps":[{"channel":"sms","template":"welcome"}]}'
rule BIRTHDAY '{"name":"С днём рождения","purpose":"marketing","unlessBooked":false,"trigger":{"type":"birthday"},"sendAt":"11:00","steps":[{"channel":"sms","template":"birthday"}]}' '{"by":"Мария Кузнецова"}'
rule WOMEN '{"name":"8 Марта","purpose":"marketing","unlessBooked":false,"trigger":{"type":"calendar","date":"03-08"},"audience":{"gender":["female"]},"sendAt":"10:00","steps":[{"channel":"sms","template":"women"}]}' '{"by":"Мария Кузнецова"}'
rule OVER35 '{"name":"Имплантация, старше 35","purpose":"marketing","unlessBooked":false,"trigger":{"type":"calendar","date":"2026-03-10"},"audience":{"all":[{"gender":["female","male"]},{"age":{"gte":35}}]},"sendAt":"10:00","steps":[{"channel":"sms","template":"implants"}]}' '{"by":"Мария Кузнецова"}'
say 'Marketing in Russia is not switched on without the name of who answers for it'
ID=$(api POST /v1/rules '{"name":"Без имени","purpose":"marketing","trigger":{"type":"birthday"},"steps":[{"channel":"sms","template":"birthday"}]}' | show id)
api POST "/v1/rules/$ID/activate" '{}' | show id
say 'Anna is booked for the twentieth, Igor asked to be reminded three hours before'
put /v1/appointments/a1 '{"patientId":"17","status":"booked","start":"2026-03-20T12:00:00+03:00","createdAt":"2026-03-02T09:00:00+03:00"}'
put /v1/appointments/a2 '{"patientId":"18","status":"booked","start":"2026-03-20T15:00:00+03:00","createdAt":"2026-03-02T09:00:00+03:00"}'
say 'Birthdays of next week'
api GET '/v1/birthdays?from=2026-03-09&to=2026-03-15' | show data on,patientId,birthDate
clock 2026-03-18T13:00:00+03:00
say 'Anna answers the request to confirm'
api POST /v1/test/replies '{"from":"+79161234567","text":"Да"}' | show meaning
api GET /v1/appointments/a1 | show confirmation
say 'On the day Igor is told that it is late, and staff that it is more than a quarter of an hour'
clock 2026-03-20T14:00:00+03:00
event appointment.delayed 2026-03-20T14:00:00+03:00 '{"id":"a2","minutes":20,"reason":"emergency"}'
say 'Anna had pain, and has sent her sister, who is new'
event visit.upserted 2026-03-20T14:00:00+03:00 '{"id":"v1","patientId":"17","appointmentId":"a1","status":"finished","start":"2026-03-20T12:00:00+03:00","end":"2026-03-20T12:40:00+03:00","facts":["pain"],"amount":"4500.00"}'
put /v1/patients/19 '{"name":{"family":"Белова","given":"Ольга","middle":"Петровна"},"gender":"female","birthDate":"1990-11-01","telecom":[{"system":"phone","value":"8 (916) 123-45-69"}],'"$agreed"'}'
event referral.recorded 2026-03-20T14:00:00+03:00 '{"patientId":"17","referredId":"19"}'
clock 2026-09-25T13:00:00+03:00
say 'All that was said'
messages 'state=delivered' sentAt,patientId,channel,text
say 'What staff have to do'
api GET /v1/tasks | show data state,patientId,text

say '=== Clínica Dental Andes, Santiago: lost patients, step by step ==='
KEY=$(clinic '{"name":"Clínica Dental Andes","timeZone":"America/Santiago","country":"CL","language":"es","currency":"CLP","mode":"test","now":"2026-03-02T09:00:00-03:00"}')
api PATCH /v1/clinic '{"phone":"+56 2 2555 0101"}' >/dev/null
put /v1/channels/sms '{"provider":"twilio","credentials":{"accountSid":"AC00000000000000000000000000000001","authToken":"tour"},"options":{"sender":"+56225550101"},"tariff":{"CL":"45"}}'
put /v1/channels/email '{"provider":"sendgrid","credentials":{"apiKey":"tour"},"options":{"sender":"andes@example.com"},"tariff":{"default":"1"}}'
lost() { # ID GIVEN TELECOM MORE
  put "/v1/patients/$1" "{\"name\":{\"given\":\"$2\"},\"birthDate\":\"${5:-1980-01-01}\",\"language\":\"es\",\"telecom\":[$3]${4:-}}"
  put "/v1/visits/v-$1" "{\"patientId\":\"$1\",\"status\":\"finished\",\"start\":\"2025-09-10T10:00:00-03:00\",\"services\":[{\"id\":\"protesis\"}],\"amount\":\"60000\"}"
}
mail() { printf '{"system":"email","value":"%s@example.com"}' "$1"; }
tel() { printf '{"system":"phone","value":"+5698765432%s"}' "$1"; }
lost elena Elena "$(mail elena),$(tel 1)"
lost fabio Fabio "$(tel 2)"
lost gloria Gloria "$(mail gloria),$(tel 3)"
lost hugo Hugo ''
lost ines Inés "$(mail ines),$(tel 4)" ',"consent":{"care":{"email":"denied","sms":"denied","call":"denied"}}'
lost jorge Jorge "$(mail jorge),$(tel 5)" '' 2001-01-01
rule LADDER '{"name":"Recuperar pacientes","purpose":"care","trigger":{"type":"inactive","after":"P6M"},"audience":{"age":{"gte":30}},"sendAt":"10:00","steps":[{"channel":"email","template":"recall"},{"channel":"sms","template":"recall","after":"P3D"},{"channel":"task","template":"recall","after":"P3D"}],"stopOn":["booked","visited","replied","opted-out","task-outcome"]}'
say 'Who is due in the coming fortnight, and who is not reached'
api GET "/v1/rules/$LADDER/due?from=2026-03-02&to=2026-03-16" | show data patientId,channel,outcome,reason
clock 2026-03-11T12:00:00-03:00
say 'Gloria answers the e-mail: her ladder ends'
ID=$(api GET "/v1/messages?patientId=gloria" | show data.0.id)
api POST /v1/test/replies "{\"messageId\":\"$ID\",\"text\":\"Llámenme por favor\"}" | show meaning
clock 2026-03-20T12:00:00-03:00
messages "ruleId=$LADDER" patientId,step,channel,state,reason,sentAt
say 'Staff call Elena: nobody answers, the ladder is at its end; Fabio books'
for who in elena fabio; do
  ID=$(api GET /v1/tasks?state=open | node -e 'let t="";process.stdin.on("data",(c)=>t+=c).on("end",()=>console.log(JSON.parse(t).data.find((d)=>d.patientId===process.argv[1]&&d.ruleId!==null)?.id??""))' "$who")
  [ -n "$ID" ] && api PATCH "/v1/tasks/$ID" "{\"outcome\":\"$([ $who = elena ] && echo no-answer || echo booked)\",\"note\":\"tour\"}" | show outcome
done
say 'Why Hugo began with a call, and the others got nothing'
for who in hugo ines jorge; do
  printf '  %s: ' "$who"
  api GET "/v1/rules/$LADDER/explain?patientId=$who&on=2026-03-10" | node -e 'let t="";process.stdin.on("data",(c)=>t+=c).on("end",()=>{const e=JSON.parse(t);console.log(e.outcome,e.reason,"|",e.checks.filter((c)=>!c.passed).map((c)=>c.name).join(", "))})'
done

say 'A family is due together: one message'
api PATCH /v1/clinic '{"householdMerging":true}' >/dev/null
put /v1/templates/family '{"purpose":"care","bodies":{"sms":{"es":{"text":"{{patient.name.given}}: les esperamos para su control. {{clinic.name}}. Para no recibir mensajes, responda BAJA"}}}}'
rule FAMILY '{"name":"Control","purpose":"care","trigger":{"type":"visit","after":"P10D","services":["control"]},"sendAt":"10:00","steps":[{"channel":"sms","template":"family"}]}'
put /v1/patients/rosa '{"name":{"given":"Rosa"},"birthDate":"1986-01-01","household":"soto","telecom":[{"system":"phone","value":"+56987654330"}]}'
put /v1/patients/tito '{"name":{"given":"Tito"},"birthDate":"2016-01-01","household":"soto","guardianId":"rosa"}'
for who in rosa tito; do
  put "/v1/visits/c-$who" "{\"patientId\":\"$who\",\"status\":\"finished\",\"start\":\"2026-03-20T11:00:00-03:00\",\"services\":[{\"id\":\"control\"}]}"
done
clock 2026-03-30T12:00:00-03:00
messages "ruleId=$FAMILY" patientId,state,reason,text

say 'Two slots are free, three are due: two are invited, the third when a slot is told of'
rule SLOTS '{"name":"Higiene","purpose":"care","trigger":{"type":"visit","after":"P10D","services":["higiene"]},"sendAt":"10:00","catchUp":"P10D","steps":[{"channel":"sms","template":"recall"}]}'
for n in 1 2 3; do
  put "/v1/patients/h$n" "{\"name\":{\"given\":\"Paciente $n\"},\"telecom\":[{\"system\":\"phone\",\"value\":\"+5698765434$n\"}]}"
  put "/v1/visits/h$n" "{\"patientId\":\"h$n\",\"status\":\"finished\",\"start\":\"2026-03-30T1$((n - 1)):00:00-03:00\",\"services\":[{\"id\":\"higiene\"}]}"
done
event capacity.updated 2026-03-30T12:00:00-03:00 '{"service":"higiene","day":"2026-04-20","free":2}'
clock 2026-04-10T12:00:00-04:00
messages "ruleId=$SLOTS" patientId,state,reason
event capacity.updated 2026-04-10T12:00:00-04:00 '{"service":"higiene","day":"2026-04-20","free":3}'
messages "ruleId=$SLOTS" patientId,state,reason

say 'A new rule lets the past in, one patient a day, and one patient gets a day of their own'
rule BACKLOG '{"name":"Vuelva","purpose":"care","trigger":{"type":"visit","after":"P120D","services":["protesis"]},"audience":{"age":{"gte":20}},"sendAt":"11:00","backlog":{"perDay":1,"order":"most-overdue"},"steps":[{"channel":"sms","template":"recall"}]}'
api PUT "/v1/patients/jorge/recalls/$BACKLOG" '{"dueOn":"2026-04-15","reason":"Vacaciones"}' >/dev/null
clock 2026-04-16T12:00:00-04:00
messages "ruleId=$BACKLOG" sentAt,patientId,state,reason
