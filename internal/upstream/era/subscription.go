package era

import (
	"slices"

	"sallyport"
	"sallyport/internal/wire"
)

// changes are the lists whose changes a server may announce: its capability,
// the flag of subscriptions/listen, and the notification.
var changes = [...]struct{ capability, flag, notification string }{
	{"tools", "toolsListChanged", "notifications/tools/list_changed"},
	{"prompts", "promptsListChanged", "notifications/prompts/list_changed"},
	{"resources", "resourcesListChanged", "notifications/resources/list_changed"},
}

// Subscription is what of a server's own notifications is listened to.
type Subscription struct {
	flags         []Member
	notifications []string
	URIs          []string // resources
}

// Announced is the subscription to all changes of lists that a server of these
// capabilities announces and that wanted, the filter of subscriptions/listen,
// asks for; an absent one asks for all.
func Announced(capabilities, wanted sallyport.Value) *Subscription {
	s := &Subscription{}
	for _, c := range changes {
		offered := capabilities.Get(c.capability).Get("listChanged").Type() == sallyport.True
		if offered && (wanted.Type() == sallyport.Absent || wanted.Get(c.flag).Type() == sallyport.True) {
			s.flags = append(s.flags, Member{c.flag, []byte("true")})
			s.notifications = append(s.notifications, c.notification)
		}
	}
	return s
}

// IsEmpty reports whether nothing will ever be heard.
func (s *Subscription) IsEmpty() bool { return len(s.flags)+len(s.URIs) == 0 }

// Wants reports whether a notification belongs to the subscription.
func (s *Subscription) Wants(m *wire.Message) bool {
	if m.Method == "notifications/resources/updated" {
		uri, ok := m.Params.Get("uri").Text()
		return ok && slices.Contains(s.URIs, uri)
	}
	return slices.Contains(s.notifications, m.Method)
}

// Member is the subscription as subscriptions/listen and its acknowledgement
// have it.
func (s *Subscription) Member() Member {
	filter := slices.Clone(s.flags)
	if len(s.URIs) > 0 {
		uris := []byte{}
		for _, uri := range s.URIs {
			uris = sallyport.AppendString(append(uris, ','), uri)
		}
		uris[0] = '['
		filter = append(filter, Member{"resourceSubscriptions", append(uris, ']')})
	}
	return Member{"notifications", Object(filter)}
}
