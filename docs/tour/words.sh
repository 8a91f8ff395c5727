# The words that the tours share; `here` and `url` are set, and KEY is whoever's turn it is.

show() { node "$here/tour/show.mjs" "$@"; }
say() { printf '\n%s\n' "$*"; }
# api METHOD PATH [JSON]
api() {
  local body=()
  if [ $# -gt 2 ]; then body=(-H 'Content-Type: application/json' --data "$3"); fi
  curl -sS -X "$1" "$url$2" -H "Authorization: Bearer $KEY" ${body[@]+"${body[@]}"}
}
# The same, and nothing is said unless it is refused; then the tour ends.
quietly() {
  local answer
  answer=$(api "$@")
  case $answer in *'"status":4'* | *'"status":5'* | *'"problem"'*) printf '%s' "$answer" | show refused ;; esac
}
put() { quietly PUT "$@"; }
clinic() { KEY=$RETORNO_OPERATOR_KEY api POST /v1/clinics "$1" | show key; }
draft() { api POST /v1/rules "$1" | show id; }
rule() { # NAME JSON [ACTIVATION]: makes a rule, switches it on and keeps its id in $NAME
  local id
  id=$(draft "$2") || { printf '%s\n' "$id"; return 1; }
  quietly POST "/v1/rules/$id/activate" "${3:-{\}}"
  printf -v "$1" %s "$id"
}
messages() { api GET "/v1/messages?limit=200&$1" | show data "${2:-sentAt,patientId,channel,state,text}"; }
told=0
event() { # TYPE OCCURRED-AT DATA
  told=$((told + 1))
  quietly POST /v1/events "{\"id\":\"tour-$told\",\"type\":\"$1\",\"occurredAt\":\"$2\",\"data\":$3}"
}
