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

// TestMint asks for tasks of four trades, none of them the recorded suites',
// which tools are within their scope. Each list is all that is.
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
		{travelTools, "Correct my date of birth in my profile.", "update_traveler_profile"},
		{machineTools, "What is in /etc/hosts?", ""},
		{machineTools, "Write a file notes.txt with a list of the services.", "write_file"},
		{machineTools, "Erase the file build.log.", "delete_file"},
		{machineTools, "Restart the service nginx.", "restart_service"},
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
		if want := strings.Fields(row.within); !slices.Equal(within, want) {
			t.Errorf("%q needs %v, want %v", row.task, within, want)
		}
	}
}
