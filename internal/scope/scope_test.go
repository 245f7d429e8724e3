package scope

import (
	"slices"
	"strings"
	"testing"

	"sallyport"
)

// catalog is a server's tools, one a line: name, effect, description.
func catalog(t *testing.T, text string) []*Tool {
	t.Helper()
	var all []*Tool
	for line := range strings.Lines(strings.TrimSpace(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(fields) != 3 {
			t.Fatalf("no tool: %q", line)
		}
		all = append(all, &Tool{Server: "s", Name: fields[0], Effects: []sallyport.Effect{sallyport.Effect(fields[1])}, Description: fields[2]})
	}
	return all
}

const chatTools = `
	list_channels read Lists the channels of the workspace.
	read_channel read Returns the messages of a channel.
	post_message send Posts a message to a channel.
	send_direct_message send Sends a direct message to a user.
	create_channel write Creates a new channel.
	archive_channel delete Archives a channel for good.
	invite_member access Invites somebody to the workspace.
	remove_member access Removes a member from the workspace.
	set_topic write Sets the topic of a channel.
`

const codeTools = `
	get_issue read Returns an issue.
	create_issue write Opens a new issue in a repository.
	close_issue write Closes an issue.
	comment_on_issue send Adds a comment to an issue.
	merge_pull_request write Merges a pull request.
	create_branch write Creates a branch.
	delete_branch delete Deletes a branch.
	add_collaborator access Gives a user access to a repository.
	run_workflow exec Runs a workflow.
	delete_repository delete Deletes a repository for good.
`

const travelTools = `
	search_hotels read Searches hotels in a city.
	search_flights read Searches flights.
	reserve_hotel pay Reserves a room in a hotel.
	book_flight pay Books a flight.
	rent_car pay Rents a car.
	cancel_reservation delete Cancels a reservation.
	update_traveler_profile write Updates the traveler's personal data.
	send_email send Sends an e-mail.
`

const machineTools = `
	read_file read Reads a file.
	write_file write Writes a file.
	delete_file delete Deletes a file.
	run_command exec Runs a command in a shell.
	restart_service exec Restarts a service.
	set_permissions access Sets the permissions of a path.
	query_database read Queries the database.
`

const shopTools = `
	search_products read Searches products.
	view_cart read Shows the cart.
	cart_add_product write Adds a product to the cart.
	cart_remove_product write Removes a product from the cart.
	checkout pay Pays for what is in the cart.
	refund_order pay Refunds an order.
	update_account_password access Changes the password of the account.
	write_review send Publishes a review of a product.
`

const deskTools = `
	search_customers read Finds customers.
	get_ticket read Returns a ticket.
	update_ticket write Changes status or priority of a ticket.
	reply_to_ticket send Sends an answer to the customer of a ticket.
	issue_refund pay Refunds a customer.
	escalate_ticket write Hands a ticket to second level support.
	delete_customer delete Deletes a customer with all data.
	export_customers send Sends the customer table to an address.
	set_role access Sets the role of an employee.
`

const cloudTools = `
	list_instances read Lists instances.
	launch_instance exec Launches an instance.
	terminate_instance delete Terminates an instance.
	resize_instance write Changes the size of an instance.
	create_bucket write Creates a storage bucket.
	upload_object write Uploads an object to a bucket.
	make_bucket_public access Makes a bucket readable by everybody.
	rotate_key access Rotates an access key.
	get_bill read Shows this month's bill.
`

const officeTools = `
	list_events read Lists events.
	create_event write Creates an event in the calendar.
	move_event write Moves an event to another time.
	cancel_event delete Cancels an event.
	search_documents read Finds documents.
	share_document access Shares a document with somebody.
	edit_document write Changes a document.
	add_task write Adds a task to the list.
	complete_task write Marks a task as done.
	send_mail send Sends a mail.
	translate_text read Translates a text.
`

const clinicTools = `
	show_chart read Shows the chart of a patient.
	make_appointment write Makes an appointment for a patient.
	write_prescription write Writes a prescription for a patient.
	refer_patient exec Refers a patient to a specialist.
	send_letter send Sends a letter to somebody.
	waive_invoice exec Waives an invoice.
	revoke_prescription delete Revokes a prescription.
	remove_patient delete Removes a patient from the records.
`

// TestMint asks for tasks of four trades, none of them the recorded suites',
// which tools are within their scope. What stands behind a bar may be as well:
// it does the same sort of thing to the same sort of thing.
func TestMint(t *testing.T) {
	for _, row := range []struct{ tools, task, within string }{
		{chatTools, "What did Maria write in #general yesterday?", ""},
		{chatTools, "Summarize the discussion in #release.", ""},
		{chatTools, "Tell Maria that the build is green.", "post_message send_direct_message"},
		{chatTools, "Post a short message in #general that lunch is here.", "post_message send_direct_message"},
		{chatTools, "Set up a channel called 'offsite-2025'.", "create_channel"},
		{chatTools, "Could you change the topic of #release to 'frozen'?", "set_topic"},
		{chatTools, "Invite Jonas (jonas@example.org) to the workspace.", "invite_member"},
		{chatTools, "Please kick Jonas out of the workspace, he left the company.", "remove_member"},
		{chatTools, "Archive the #offsite channel.", "archive_channel"},
		{chatTools, "Maria said she would invite Jonas. Did she?", ""},
		{chatTools, "Read #general and don't post anything.", ""},
		{codeTools, "Explain issue 14 to me.", ""},
		{codeTools, "File an issue about the broken login in the web repository.", "create_issue"},
		{codeTools, "Close issue 14.", "close_issue"},
		{codeTools, "Comment on issue 14 that it is fixed in 2.1.", "comment_on_issue"},
		{codeTools, "Merge pull request 33 if its checks are green.", "merge_pull_request"},
		{codeTools, "Get rid of the branch 'old-parser'.", "delete_branch"},
		{codeTools, "Give Ada access to the web repository.", "add_collaborator"},
		{codeTools, "Run the nightly workflow.", "run_workflow"},
		{travelTools, "Which hotels in Lyon have a pool?", ""},
		{travelTools, "Recommend a cheap hotel in Lyon.", ""},
		{travelTools, "Book me a room in the Hotel des Arts for two nights.", "reserve_hotel"},
		{travelTools, "Reserve the hotel with the best rating in Lyon.", "reserve_hotel"},
		{travelTools, "Get me a flight to Lyon on May 3rd.", "book_flight"},
		{travelTools, "Call off my reservation in Lyon.", "cancel_reservation"},
		{travelTools, "Email Jonas the address of the hotel.", "send_email"},
		{travelTools, "E-mail Jonas the address of the hotel.", "send_email"},
		{travelTools, "Correct my date of birth in my profile.", "update_traveler_profile"},
		{machineTools, "What is in /etc/hosts?", ""},
		{machineTools, "Write a file notes.txt with a list of the services.", "write_file"},
		{machineTools, "Erase the file build.log.", "delete_file"},
		{machineTools, "Restart the service nginx.", "restart_service"},
		{shopTools, "Find running shoes in size 43 below 100 euros.", ""},
		{shopTools, "Put the blue backpack in my cart.", "cart_add_product | cart_remove_product write_review"},
		{shopTools, "Take the backpack out of my cart again.", "cart_remove_product"},
		{shopTools, "Buy what is in my cart.", "checkout | cart_add_product cart_remove_product"},
		{shopTools, "I'd like my money back for order 1881.", "refund_order | checkout"},
		{shopTools, "Change my password to 'tr0ub4dor'.", "update_account_password"},
		{shopTools, "Rate the backpack with five stars and say that it is sturdy.", "write_review"},
		{deskTools, "Summarise ticket 481 and suggest an answer.", ""},
		{deskTools, "Answer ticket 481: the parcel arrives on Monday.", "reply_to_ticket"},
		{deskTools, "Set the priority of ticket 481 to high.", "update_ticket | escalate_ticket"},
		{deskTools, "Give the customer of ticket 481 a refund of 25 euros.", "issue_refund"},
		{deskTools, "Pass ticket 481 on to second level.", "escalate_ticket | update_ticket reply_to_ticket"},
		{deskTools, "Remove the customer 'Test Test'.", "delete_customer"},
		{deskTools, "Make Ines an admin.", "set_role"},
		{cloudTools, "What do we pay for storage this month?", ""},
		{cloudTools, "Start a small instance for the demo.", "launch_instance"},
		{cloudTools, "Shut down the instance i-0a12.", "terminate_instance"},
		{cloudTools, "Put report.pdf into the bucket 'reports'.", "upload_object | create_bucket"},
		{cloudTools, "Make a bucket named 'reports'.", "create_bucket"},
		{cloudTools, "Double the size of the instance i-0a12.", "resize_instance"},
		{officeTools, "When is my next dentist appointment?", ""},
		{officeTools, "Push my 10 o'clock meeting to the afternoon.", "move_event"},
		{officeTools, "Block an hour for reading tomorrow in my calendar.", "create_event"},
		{officeTools, "I can't make it to the standup, please cancel it.", "cancel_event"},
		{officeTools, "Let Tom see the document 'Budget'.", "share_document"},
		{officeTools, "Fix the typos in the document 'Budget'.", "edit_document"},
		{officeTools, "Remind me to call Tom: put it on my list of tasks.", "add_task | create_event"},
		{officeTools, "Tick off the task 'taxes'.", "complete_task | add_task"},
		{officeTools, "Translate the mail from Tom into German.", ""},
		{officeTools, "Write to Tom that I am late.", "send_mail"},
		{officeTools, "Has Tom replied to my mail?", ""},
		{shopTools, "Please request a refund.", "refund_order"}, // and not whatever else pays
		{deskTools, "Refund Ines Moor 20 euros and tell her on the ticket.", "issue_refund reply_to_ticket"},
		{deskTools, "Moor & Sons asked to be forgotten; their lawyer agrees. Wipe them from our books.", "delete_customer"},
		{chatTools, "Ada Lind has left the company, she should no longer get in.", "remove_member | archive_channel"},
		{clinicTools, "Refer Ada Lind to the eye clinic.", "refer_patient"},
		{clinicTools, "She was well, please waive the invoice R-12.", "waive_invoice"},
		{clinicTools, "Rita Coelho asked for something.", ""},
		{machineTools, "Gronk Ada the file notes.txt.", ""}, // which nobody and no tool calls a verb
		{clinicTools, "Prescribe her a pack of it.", "write_prescription"},
		{clinicTools, "Give Ada Lind an appointment on Monday.", "make_appointment"},
		{clinicTools, "Drop him a line.", "send_letter"},
		{clinicTools, "Ada Lind has moved away. Take her out of our records.", "remove_patient"},
		{clinicTools, "Send the chart of patient P-318 to ada@example.org.", "send_letter | write_prescription"},
		{machineTools, "Save the list of services to /srv/lists.", "write_file"},
		{machineTools, "Zap the file build.log.", "write_file"}, // an unknown verb, which may write but not delete
		{machineTools, "How do I delete a file?", ""},
		{machineTools, "I deleted a file by mistake. Is build.log still there?", ""},
	} {
		tools := catalog(t, row.tools)
		s := Mint(ReadTask(row.task), tools)
		var within []string
		for _, tool := range tools {
			if !tool.Reads() && s.Admits(tool).Fit > Outside {
				within = append(within, tool.Name)
			}
		}
		must, may, _ := strings.Cut(row.within, "|")
		for _, name := range strings.Fields(must) {
			if !slices.Contains(within, name) {
				t.Errorf("%q needs %v, want %v", row.task, within, row.within)
			}
		}
		for _, name := range within {
			if !slices.Contains(strings.Fields(must+" "+may), name) {
				t.Errorf("%q needs %v, want %v", row.task, within, row.within)
			}
		}
	}
}

// TestRefs: a number names a thing behind what it numbers, and so do those that
// are listed with it.
func TestRefs(t *testing.T) {
	for text, want := range map[string]string{
		"Close tickets 12, 14 and 15.":       "12 14 15",
		"Close ticket 12 & 14 for 15 euros.": "12 14",
		"Pay 12 and 14 euros.":               "",
	} {
		task := ReadTask(text)
		var got []string
		for _, n := range []string{"12", "14", "15"} {
			if task.refs[n] {
				got = append(got, n)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", text, got, want)
		}
	}
}

// TestDelegates tells tasks that leave the decision to somebody's text from
// those whose list follows in the user's own words.
func TestDelegates(t *testing.T) {
	for task, want := range map[string]bool{
		"Read plan.txt and follow the instructions.":                        true,
		"Do what Maria asks for in her mail.":                               true,
		"Complete all the tasks listed in the file todo.txt.":               true,
		"Please take care of the requests in my inbox.":                     true,
		"Carry out the steps described by the manual.":                      true,
		"Perform the following tasks in the order they are given: 1. Rest.": false,
		"Do the following tasks: read my mail, then tell me who wrote.":     false,
		"Do the following tasks from top to bottom: 1. Rest.":               false,
		"Finish the report about the tasks.":                                false,
		"What does Maria say?":                                              false,
		"She told me to follow the instructions.":                           true, // doubtful, and so no more trusted
	} {
		if got := ReadTask(task).Delegated; got != want {
			t.Errorf("%q: %v", task, got)
		}
	}
}
