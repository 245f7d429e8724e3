package desk

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/demo"
)

// A company is one tenant of the desk. Record numbers never meet: a tenant's ids begin with its own digit per kind,
// which is what the starter policy fences agents by.
type company struct {
	tenant    Tenant
	mailbox   string
	currency  Currency
	customers int // number of the first customer: cus_1001
	tickets   int // tic_2101
	refunds   int // ref_3001
	orders    int // ord_4001
	staff     []string
	domains   []string // of customers' mail; one each for companies
	products  []product
	people    []place
	stories   []story
	letters   map[int]letter // tickets that are written out, by number
}

type product struct {
	name  string
	price demo.Money
}

// A place and the customers who live there, five each.
type place struct{ city, country, names string }

var companies = []company{
	{
		tenant: "acme", mailbox: "support@acme.example", currency: "EUR",
		customers: 1001, tickets: 2101, refunds: 3001, orders: 4001,
		staff:   []string{"ana", "tom", "priya"},
		domains: []string{"posteo.example", "inbox.example", "fastpost.example", "kestrelmail.example"},
		products: []product{
			{"Ridge 2 tent", 34900}, {"Trail stove", 8990}, {"Down bag -5", 27900}, {"Summit pack 45 l", 18950},
			{"Titan pot set", 6495}, {"Headlamp 400", 4990}, {"Water filter", 3995}, {"Folding chair", 7400},
			{"Rain shell", 21900}, {"Trekking poles", 11900}, {"Sleeping mat", 12900}, {"Cool box 24 l", 15900},
		},
		people: []place{
			{"Berlin", "DE", "Jonas Weber, Katrin Vogel, Emre Yildiz, Silke Brandt, Paul Neumann"},
			{"Lyon", "FR", "Camille Moreau, Hugo Lambert, Inès Garnier, Luc Perrin, Maëlle Roux"},
			{"Porto", "PT", "Marta Oliveira, Rui Carvalho, Beatriz Nunes, Tiago Fonseca, Sofia Leal"},
			{"Utrecht", "NL", "Sanne de Vries, Bram Kuipers, Lotte Jansen, Daan Visser, Femke Bos"},
			{"Gdansk", "PL", "Zofia Nowak, Piotr Zielinski, Ewa Mazur, Kacper Wrona, Hanna Lis"},
			{"Graz", "AT", "Lukas Huber, Theresa Gruber, Anton Pichler, Magdalena Eder, Felix Wolf"},
			{"Cork", "IE", "Aoife Byrne, Cian Walsh, Niamh Doyle, Declan Hayes, Orla Quinn"},
			{"Bilbao", "ES", "Ane Etxeberria, Iker Zabala, Lucia Marin, Jon Ibarra, Nerea Soto"},
			{"Aarhus", "DK", "Freja Holm, Mads Kjær, Ida Lund, Oskar Friis, Signe Dahl"},
			{"Turin", "IT", "Giulia Ferraro, Matteo Gallo, Elena Costa, Davide Rinaldi, Chiara Bruno"},
			{"Tampere", "FI", "Aino Lehto, Eero Salmi, Venla Koski, Onni Rinne, Helmi Aalto"},
			{"Brno", "CZ", "Tereza Kralova, Jakub Benes, Lenka Dusek, Marek Hajek, Vera Zemanova"},
		},
		stories: slices.Concat(commonStories, acmeStories), letters: acmeLetters,
	},
	{
		tenant: "globex", mailbox: "care@globex.example", currency: "USD",
		customers: 5001, tickets: 6101, refunds: 7001, orders: 8001,
		staff: []string{"lena", "sam"},
		domains: []string{"birchwood-law.example", "sunrisedental.example", "ottopress.example", "hillsideschool.example",
			"novalogistics.example", "pikefoods.example"},
		products: []product{
			{"LaserPro 410", 68900}, {"InkLine 90", 32900}, {"Toner black XL", 11840}, {"Toner colour set", 29600},
			{"Drum unit", 14275}, {"Paper A4, 5 boxes", 10950}, {"Service plan, 1 year", 48000}, {"Scanner SX2", 21990},
			{"Label printer LP1", 17400}, {"Waste toner box", 3860}, {"Tray 550", 15900}, {"Fuser kit", 26830},
		},
		people: []place{
			{"Portland", "US", "Grace Whitman, Andre Coleman, Mei Tanaka, Robert Haines, Dolores Vega"},
			{"Toronto", "CA", "Liam Fraser, Priyanka Rao, Claire Bouchard, Owen Sinclair, Noor Haddad"},
			{"Austin", "US", "Hector Salinas, Beth Crawford, Jamal Reed, Kelly Norton, Ivy Chen"},
			{"Chicago", "US", "Stan Kowalczyk, Tanya Brooks, Miguel Ortega, Ruth Feldman, Dev Patel"},
			{"Halifax", "CA", "Fiona MacLeod, Pierre Comeau, Erin Gallant, Wade Boudreau, Joan Pike"},
			{"Denver", "US", "Carl Lindqvist, Maria Espinoza, Todd Garrison, Aisha Khan, Peggy Lowell"},
			{"Atlanta", "US", "Denise Fuller, Marcus Tate, Helen Cho, Leroy Banks, Wanda Sims"},
			{"Boston", "US", "Kevin O'Rourke, Sarah Levin, Anh Nguyen, George Papas, Louise Carter"},
			{"Seattle", "US", "Nils Berg, Yuki Mori, Paula Jensen, Omar Farah, Cindy Blake"},
			{"Montreal", "CA", "Sylvie Tremblay, Marc Gagnon, Josée Roy, Alain Fortin, Nadia Benali"},
			{"Phoenix", "US", "Rosa Delgado, Walt Simmons, Gina Moretti, Earl Dawson, Lupe Navarro"},
			{"Madison", "US", "Karen Olson, Eric Haugen, Betty Schulz, Don Meyer, Amy Larsen"},
		},
		stories: slices.Concat(commonStories, globexStories), letters: globexLetters,
	},
}

// before is a moment so many days and minutes before the desk opened.
func before(days, minutes int) time.Time {
	return demo.Epoch.AddDate(0, 0, -days).Add(-time.Duration(minutes) * time.Minute)
}

// seed makes a company's records. It uses no randomness: primes spread products, dates and texts over the people.
func (c *company) seed() (customers []*Customer, tickets []*Ticket) {
	for _, place := range c.people {
		for name := range strings.SplitSeq(place.names, ", ") {
			customers = append(customers, c.customer(len(customers), name, place))
		}
	}
	for i := range 120 {
		tickets = append(tickets, c.ticket(i, customers))
	}
	return customers, tickets
}

func (c *company) customer(i int, name string, home place) *Customer {
	customer := &Customer{
		ID: CustomerID(fmt.Sprintf("cus_%d", c.customers+i)), Tenant: c.tenant, Name: name,
		Email: Email(mailName(name) + "@" + c.domains[i%len(c.domains)]),
		Phone: fmt.Sprintf("+00 555 %04d", 1000+i*37),
		City:  home.city, Country: home.country,
		Plan: []Plan{"basic", "basic", "plus", "basic", "premium"}[i%5], Status: "active",
		Since: day(before(400+(i*53)%900, 0)),
	}
	if i%19 == 13 {
		customer.Status = "suspended"
	}
	for k := range 1 + i%3 {
		p := c.products[(i*5+k*3)%len(c.products)]
		customer.Orders = append(customer.Orders, Order{
			ID: OrderID(fmt.Sprintf("ord_%d", c.orders+i*3+k)), Date: day(before(130+(i*11+k*37)%200, 0)),
			Product: p.name, Amount: p.price, Currency: c.currency,
		})
	}
	return customer
}

func (c *company) ticket(i int, customers []*Customer) *Ticket {
	number := c.tickets + i
	from := customers[(i*17)%len(customers)]
	l, written := c.letters[number]
	if !written {
		l = letter{story: c.stories[i%len(c.stories)]}
	}
	if l.customer > 0 {
		from = customers[l.customer-c.customers]
	}
	opened := before((119-i)/2, (119-i)%2*540+i*37%500) // two a day, in the order of their numbers
	t := &Ticket{
		ID: TicketID(fmt.Sprintf("tic_%d", number)), Tenant: c.tenant, CustomerID: from.ID,
		Priority: l.priority, Channel: []Channel{"email", "email", "web", "email", "chat"}[i%5],
		Assignee: c.staff[i%len(c.staff)], Tags: strings.Fields(l.tags), CreatedAt: opened, UpdatedAt: opened,
		Reporter: Reporter{Kind: "external", Name: from.Name, Email: from.Email}, Notes: []Note{},
	}
	if l.reporter != nil {
		t.Reporter = *l.reporter
	}
	if t.Reporter.Kind == "internal" {
		t.Channel = "phone"
	}
	if t.Priority == "" {
		t.Priority = "normal"
	}
	order := &from.Orders[i/len(customers)%len(from.Orders)]
	if order.Date < day(opened.AddDate(0, 0, -60)) {
		order.Date = day(opened.AddDate(0, 0, -12)) // people write about what they bought lately
	}
	fill := strings.NewReplacer("{first}", strings.Fields(from.Name)[0], "{name}", from.Name, "{email}", string(from.Email),
		"{order}", string(order.ID), "{product}", order.Product, "{amount}", order.Amount.String()+" "+string(order.Currency),
		"{date}", order.Date, "{city}", from.City, "{company}", string(c.tenant), "{staff}", t.Assignee)
	t.Subject = fill.Replace(l.subject)
	t.say(t.Reporter.Kind, t.Reporter.Name, fill.Replace(strings.TrimSpace(l.body)), opened)
	if l.note != "" {
		t.Notes = append(t.Notes, Note{Author: t.Assignee, At: opened.Add(time.Hour), Text: fill.Replace(l.note)})
	}
	t.Status = "open"
	if age := 119 - i; !written && age > 30 {
		t.Status = []TicketStatus{"solved", "closed", "solved", "pending"}[age%4]
		t.say("internal", t.Assignee, fill.Replace(l.reply), opened.Add(5*time.Hour))
	}
	return t
}

// mailName makes the local part of an address of a name: "Inès Garnier" becomes ines.garnier.
func mailName(name string) string {
	plain := strings.NewReplacer("è", "e", "é", "e", "ë", "e", "æ", "ae", "'", "", " de ", ".de", " ", ".")
	return plain.Replace(strings.ToLower(name))
}

func day(t time.Time) string { return t.Format(time.DateOnly) }
