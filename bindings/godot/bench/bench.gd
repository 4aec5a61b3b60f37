## What downloads cost the frame: HTTPRequest and Sortie beside each other, on the same server.
##
## A frame's cost is the processor time that the main thread used from one frame's start to the next's: all that the engine
## and the scripts do there, and nothing of other threads or of other programs on the machine. Linux tells it. Each contender
## makes the same downloads, so many at once, until so many are whole, and looks at the bodies.
extends Node

const AT_ONCE := 50
const ROUNDS := 4
const SIZES := [10_000, 1_000_000]

var server := OS.get_environment("SORTIE_TEST_SERVER")
var used := 0
var costs := PackedInt64Array()


func _ready() -> void:
	# First in the frame: the system counts exactly up to the last time that the thread slept, which is between two frames.
	process_priority = -1000
	_run.call_deferred()


func _process(_delta: float) -> void:
	var now := FileAccess.open("/proc/thread-self/schedstat", FileAccess.READ).get_line().get_slice(" ", 0).to_int() / 1000
	costs.append(now - used)
	used = now


func _run() -> void:
	print("%-34s %8s %8s %8s %8s %8s %8s" % ["microseconds", "median", "p99", "max", "sum, ms", "frames", "seconds"])
	await measure("an empty frame", 0, func(_url: String) -> void: await get_tree().create_timer(1).timeout)
	for size: int in SIZES:
		var kb := "%d x %d kB, " % [AT_ONCE * ROUNDS, size / 1000]
		await measure(kb + "HTTPRequest", size, all_by.bind(HTTPRequest, {}))
		await measure(kb + "with use_threads", size, all_by.bind(HTTPRequest, {use_threads = true}))
		await measure(kb + "SortieHTTPRequest", size, all_by.bind(SortieHTTPRequest, {}))
		await measure(kb + "SortieClient", size, all_by_client)
	get_tree().quit()


func measure(title: String, size: int, work: Callable) -> void:
	await get_tree().create_timer(0.3).timeout
	await get_tree().process_frame
	costs.clear()
	var started := Time.get_ticks_usec()
	await work.call(server + "/bytes/%d" % size)
	var took := Time.get_ticks_usec() - started
	var sorted := costs.duplicate()
	sorted.sort()
	var sum := 0.0
	for cost in costs:
		sum += cost / 1000.0
	print("%-34s %8d %8d %8d %8.1f %8d %8.2f" % [title, sorted[sorted.size() / 2], sorted[sorted.size() * 99 / 100],
		sorted[-1], sum, sorted.size(), took / 1e6])


func all_by(url: String, type: Variant, properties: Dictionary) -> void:
	var left := [AT_ONCE * ROUNDS]
	var whole := [0]
	for _node in AT_ONCE:
		var node: Node = type.new()
		for property: String in properties:
			node.set(property, properties[property])
		add_child(node)
		node.request_completed.connect(func(result: int, _code: int, _headers: PackedStringArray,
				body: PackedByteArray) -> void:
			whole[0] += 1
			assert(result == 0 and str(body.size()) == url.get_file())
			if left[0] > 0:
				left[0] -= 1
				node.request(url)
			else:
				node.queue_free())
		left[0] -= 1
		node.request(url)
	while whole[0] < AT_ONCE * ROUNDS:
		await get_tree().process_frame


func all_by_client(url: String) -> void:
	var client := SortieClient.new()
	client.use_environment_proxy = false
	client.max_active_per_host = AT_ONCE
	add_child(client)
	var left := [AT_ONCE * ROUNDS - AT_ONCE]
	var whole := [0]
	client.request_completed.connect(func(request: SortieRequest, response: SortieResponse) -> void:
		whole[0] += 1
		assert(response.ok and str(response.body.size()) == url.get_file())
		if left[0] > 0:
			left[0] -= 1
			client.submit(request))
	for _request in AT_ONCE:
		client.fetch(url)
	while whole[0] < AT_ONCE * ROUNDS:
		await get_tree().process_frame
	client.queue_free()
