package model

import "strings"

// A class stands for all words that play one part in a sentence that tells
// somebody what to do. Orders to an assistant differ in every word and agree
// in their parts: who is told, to do what, over whose head, unseen by whom.
type class uint8

const (
	none class = iota
	begin
	addressee
	you
	override
	prior
	rule
	say
	act
	output
	secret
	secrecy
	authority
	user
	tool
	mode
	please
	order
	number
	link
	mail
	mention
	classes
)

// parts are written from the grammar of orders, not from any corpus.
var parts = [classes]string{
	addressee: `assistant assistants ai model models llm llms agent agents chatbot bot gpt chatgpt claude gemini copilot llama
		assistent asistente assistente modelo modele modell ki ia ассистент помощник модель`,
	you: `you your yours yourself u du dein deine dir sie ihr tu te ti su usted vous votre tes tuo tua ты вы твой ваш тебе`,
	override: `ignore disregard forget override overrides overriding bypass supersede supersedes supersede discard overrule neglect skip
		drop abandon void replace replaces cancel suspend nullify ignoring forgetting regardless instead
		ignoriere ignorieren vergiss missachte ignora ignorar olvida ignorez oubliez oublie dimentica esqueca игнорируй забудь`,
	prior: `previous prior above earlier preceding former existing original initial foregoing past before other
		vorherigen vorherige bisherigen anteriores anterior precedentes precedente precedenti предыдущие`,
	rule: `instruction instructions prompt prompts rule rules guideline guidelines directive directives policy policies restriction
		restrictions constraint constraints task tasks command commands order orders protocol protocols filter filters safeguards
		anweisungen anweisung instruktionen instrucciones instrucoes consignes istruzioni инструкции правила`,
	say: `say write print output respond reply answer repeat tell state mention include add append insert generate provide give
		explain translate summarize summarise describe recommend reveal display show list begin start end finish return compose
		embed quote suggest claim announce inform notify advise promote conclude prefix incorporate integrate
		schreibe antworte sage gib escribe responde di ecris reponds scrivi rispondi escreva напиши ответь скажи`,
	act: `send forward email mail post upload transfer pay wire delete remove create share invite submit buy purchase order book
		schedule update change modify grant install download open visit click execute run call invoke use read fetch access retrieve
		get search copy move make set save store log collect extract export disable enable erase wipe encrypt reset edit navigate
		go check find look pass query perform proceed ensure execute deploy approve cancel subscribe follow complete contact
		sende loesche envia borra envoie supprime invia cancella отправь удали`,
	output: `response responses reply replies answer answers output outputs summary summaries message messages conversation chat
		solution text sentence paragraph completion translation antwort respuesta reponse risposta ответ`,
	secret: `password passwords key keys token tokens credential credentials secret secrets ssh env passphrase pin ssn private
		confidential sensitive passcode pem rsa cookie cookies wallet otp mfa apikey passwort contrasena`,
	secrecy: `secretly silently quietly hidden hide conceal discreetly covertly without never not don dont avoid unless nobody
		transparently invisibly unnoticed background nicht nunca sin sans senza`,
	authority: `important urgent critical immediately must mandatory required system admin administrator developer attention
		priority warning now first always only urgently essential crucial security compliance authorized official emergency
		alert necessary strictly notice override root sudo wichtig importante urgente отныне важно`,
	user: `user users customer customers human owner client operator person benutzer usuario utilisateur utente`,
	tool: `tool tools function functions api plugin plugins server servers mcp parameter parameters argument arguments param
		params field endpoint shell bash terminal browser`,
	mode: `mode act pretend roleplay persona jailbreak dan unrestricted character simulate simulation imagine hypothetical
		uncensored unfiltered role fictional evil god`,
	please: `please kindly could can would should need want will bitte por favor sil prego пожалуйста`,
	mention: `attack attacks attacker attackers attacked attacking injection injections injected inject injecting malicious
		jailbreak jailbreaks jailbreaking adversarial adversary adversaries exploit exploits exploited payload payloads untrusted
		hijack hijacking hijacked poisoning guardrail guardrails sanitize sanitise sanitization owasp bypass bypasses`,
	order: `then next after when while once before finally also additionally afterwards following follow below during upon if`,
}

const tableBits = 12

// table finds the class of a word by its hash.
type table struct {
	hash  [1 << tableBits]uint32
	class [1 << tableBits]class
}

var known = newTable()

func newTable() *table {
	t := new(table)
	for c, words := range parts {
		for _, w := range strings.Fields(words) {
			h := hashOf(w)
			if t.of(h) != none {
				continue // the first part that a word plays
			}
			i := h & (1<<tableBits - 1)
			for t.hash[i] != 0 {
				i = (i + 1) & (1<<tableBits - 1)
			}
			t.hash[i], t.class[i] = h, class(c)
		}
	}
	return t
}

func (t *table) of(h uint32) class {
	for i := h & (1<<tableBits - 1); t.hash[i] != 0; i = (i + 1) & (1<<tableBits - 1) {
		if t.hash[i] == h {
			return t.class[i]
		}
	}
	return none
}

const (
	hashStart = 2166136261
	hashPrime = 16777619
)

func hashOf(word string) uint32 {
	h := uint32(hashStart)
	for i := 0; i < len(word); i++ {
		h = (h ^ uint32(word[i])) * hashPrime
	}
	return h
}
