## Ends of all kinds: cancelled, freed, left behind. Nothing crashes, nothing stays.
extends Case


func test_cancelling_before_during_and_after() -> void:
	var by := client()
	var asked := request("/slow?bytes=1000000&rate=100000")
	equal(asked.cancel(), ERR_DOES_NOT_EXIST, "before")
	equal(asked.pause(), ERR_DOES_NOT_EXIST, "pause before")
	equal(by.submit(asked), OK, "submit")
	equal(asked.cancel(), OK, "at once")
	var response: SortieResponse = await asked.completed
	equal(response.error, SortieResponse.ERROR_CANCELLED, "error")
	equal(by.submit(asked), OK, "submit again")
	await until(func() -> bool: return asked.bytes_transferred > 0, "it runs")
	equal(asked.cancel(), OK, "during")
	equal(asked.cancel(), OK, "twice")
	response = await asked.completed
	equal(response.error, SortieResponse.ERROR_CANCELLED, "error")
	equal(response.status, 200, "status")
	equal(asked.cancel(), ERR_DOES_NOT_EXIST, "after")


func test_a_running_request_is_busy() -> void:
	var by := client()
	var other := client()
	var asked := request("/stall-headers")
	expected_errors = ["SortieClient.submit(): the request runs already", "SortieClient.submit(): the request runs already"]
	equal(by.submit(asked), OK, "submit")
	equal(by.submit(asked), ERR_BUSY, "submit again")
	equal(other.submit(asked), ERR_BUSY, "submit elsewhere")
	check(asked.get_request_id() > 0, "an id")


func test_nobody_has_to_hold_a_request() -> void:
	var by := client()
	var ended := [0]
	for _time in 20:
		by.fetch(server + "/bytes/10").completed.connect(func(_response: SortieResponse) -> void: ended[0] += 1)
	await until(func() -> bool: return ended[0] == 20, "all complete")


func test_leaving_the_tree_ends_what_runs() -> void:
	var by := client()
	var asked := request("/slow?bytes=1000000&rate=100000", {download_file = fresh_file("dropped.bin")})
	var told := []
	asked.completed.connect(func(response: SortieResponse) -> void:
		told.append([response.error, response.message, response.url, response.status]))
	equal(by.submit(asked), OK, "submit")
	await until(func() -> bool: return asked.bytes_transferred > 0, "it runs")
	remove_child(by)
	equal(told, [[SortieResponse.ERROR_SHUTDOWN, "the client shut down", asked.url, 0]], "told")
	equal(by.is_started(), false, "is_started")
	equal(asked.is_running(), false, "is_running")
	equal(asked.cancel(), ERR_DOES_NOT_EXIST, "cancel")
	equal(FileAccess.file_exists("user://dropped.bin"), false, "the file")
	equal(FileAccess.file_exists("user://dropped.bin.sortie-part"), false, "its part")
	await frames(5)
	add_child(by)
	equal((await respond(by, request("/bytes/1"))).status, 200, "back in the tree")


func test_freeing_outside_the_tree_ends_what_runs() -> void:
	var by := SortieClient.new()
	by.use_environment_proxy = false
	var asked := by.fetch(server + "/stall-headers")
	var told := []
	asked.completed.connect(func(response: SortieResponse) -> void: told.append(response.error))
	by.request_completed.connect(func(_request: SortieRequest, response: SortieResponse) -> void:
		told.append(response.error))
	by.free()
	equal(told, [SortieResponse.ERROR_SHUTDOWN, SortieResponse.ERROR_SHUTDOWN], "told")
	equal(asked.is_running(), false, "is_running")


func test_nothing_starts_while_the_client_ends() -> void:
	var refused := "SortieClient.submit(): the client is shutting down"
	for how: String in ["shutdown", "remove_child", "free", "free outside"]:
		var by := client()
		if how == "free outside":
			remove_child(by)
		expected_errors.append(refused)
		var told := []
		by.request_completed.connect(func(_request: SortieRequest, response: SortieResponse) -> void:
			told.append([response.error, by.submit(request("/bytes/1")), by.is_started()]))
		equal(by.submit(request("/stall-headers")), OK, "submit")
		if how == "remove_child":
			remove_child(by)
		else:
			by.call(how.get_slice(" ", 0))
		equal(told, [[SortieResponse.ERROR_SHUTDOWN, ERR_UNAVAILABLE, false]], how)
		if how == "shutdown":
			for connection in by.request_completed.get_connections():
				by.request_completed.disconnect(connection.callable)
			equal((await respond(by, request("/bytes/1"))).status, 200, "used again")
		elif how == "remove_child":
			by.free()


func test_listeners_may_end_the_client() -> void:
	for how: String in ["queue_free", "shutdown", "remove_child"]:
		var by := client()
		var told := [0]
		for _time in 5:
			by.fetch(server + "/bytes/10").completed.connect(func(_response: SortieResponse) -> void:
				told[0] += 1
				# The others are told while the first one's listener ends the client.
				if told[0] > 1:
					return
				if how == "remove_child":
					remove_child(by)
				else:
					by.call(how))
		await until(func() -> bool: return told[0] > 0, how + " is told")
		await frames(5)
		equal(told[0], 5, how + " told in all")
		if how == "remove_child":
			by.free()


func test_the_client_is_freed_by_a_listener() -> void:
	var by := client()
	var asked := by.fetch(server + "/bytes/10")
	any_error_is_fine = true # that it is locked, in an engine with debugging aids
	asked.completed.connect(func(_response: SortieResponse) -> void: by.free())
	await asked.completed
	await frames(3)


func test_polling_in_a_listener_is_refused() -> void:
	var by := client()
	expected_errors = ["SortieClient.poll(): it is called by what listens"]
	var asked := request("/bytes/1", {report_progress = SortieRequest.PROGRESS_NONE})
	asked.completed.connect(func(_response: SortieResponse) -> void: equal(by.poll(), 0, "poll"))
	await respond(by, asked)


func test_listeners_may_submit() -> void:
	var by := client()
	var asked := request("/bytes/1")
	var left := [10]
	by.request_completed.connect(func(ended: SortieRequest, response: SortieResponse) -> void:
		equal(response.status, 200, "status")
		left[0] -= 1
		if left[0] > 0:
			equal(by.submit(ended), OK, "submit"))
	equal(by.submit(asked), OK, "submit")
	await until(func() -> bool: return left[0] == 0, "ten are told")


func test_a_listener_that_is_freed_hears_nothing() -> void:
	var by := client()
	var listener := Case.new()
	add_child(listener)
	listener.failed.connect(func(_why: String) -> void: failed.emit("heard"))
	var asked := request("/delay?ms=100")
	asked.completed.connect(func(response: SortieResponse) -> void: pass)
	asked.completed.connect(listener.check.bind("").unbind(1))
	equal(by.submit(asked), OK, "submit")
	listener.free()
	await asked.completed
	equal(asked.is_running(), false, "is_running")


func test_a_scene_that_changes() -> void:
	# As SceneTree.change_scene_to_packed() does: the old scene leaves the tree and is freed, with its clients.
	for _time in 3:
		var scene := Node.new()
		add_child(scene)
		var by := SortieClient.new()
		var drop_in := SortieHTTPRequest.new()
		scene.add_child(by)
		scene.add_child(drop_in)
		for _request in 10:
			by.fetch(server + "/slow?bytes=1000000&rate=100000")
		drop_in.request(server + "/stall?sent=10")
		await frames(5)
		scene.queue_free()
		await frames(3)
		check(not is_instance_valid(by) and not is_instance_valid(drop_in), "both are gone")


func test_nothing_stays() -> void:
	# Once round, so that what is made once has been made.
	await churn()
	await frames(10)
	var objects := Performance.get_monitor(Performance.OBJECT_COUNT)
	var orphans := Performance.get_monitor(Performance.OBJECT_ORPHAN_NODE_COUNT)
	var threads := thread_count()
	for _time in 5:
		await churn()
	await frames(10)
	# What comes and goes in the engine is less than one object a round.
	var grown := Performance.get_monitor(Performance.OBJECT_COUNT) - objects
	check(grown < 5, "%d objects more" % grown)
	equal(Performance.get_monitor(Performance.OBJECT_ORPHAN_NODE_COUNT), orphans, "orphans")
	equal(thread_count(), threads, "threads")


## Awaits a request that it holds. Were it never told, the engine would free neither.
func forlorn(by: SortieClient) -> void:
	var asked := by.fetch(server + "/stall-headers")
	var response: SortieResponse = await asked.completed
	equal(response.error, SortieResponse.ERROR_SHUTDOWN, "error")


func churn() -> void:
	var by := client()
	for _time in 3:
		forlorn(by)
	for path in ["/bytes/1000", "/status/404", "/garbage", "/redirect/2"]:
		await respond(by, request(path))
	for _time in 10:
		by.fetch(server + "/stall?sent=10")
	var cancelled := by.fetch(server + "/stall-headers")
	cancelled.cancel()
	await cancelled.completed
	var drop_in := SortieHTTPRequest.new()
	add_child(drop_in)
	drop_in.request(server + "/bytes/10")
	await drop_in.request_completed
	drop_in.request(server + "/stall?sent=10")
	drop_in.queue_free()
	by.queue_free()
	await frames(5)
