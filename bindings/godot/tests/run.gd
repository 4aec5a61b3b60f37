## Runs the tests of the files that the command line names after "--", or of all, and ends with 0 if none failed.
##
## A test is a method of a file whose name starts with "test_". It fails if a check does, if it takes too long, or if
## anything writes an error to the log that it did not expect.
extends Node

const FILES := ["surface", "client", "bodies", "files", "bad_input", "lifetime", "http_request", "readme"]
const DEADLINE_USEC := 60_000_000

var _name := ""
var _started := 0
var _failed: PackedStringArray = []
var _log := Log.new()


## What the engine writes to its log as errors.
class Log extends Logger:
	var errors: PackedStringArray = []
	var lock := Mutex.new()

	func _log_error(_function: String, file: String, line: int, code: String, rationale: String, _editor: bool,
			type: int, _backtraces: Array[ScriptBacktrace]) -> void:
		if type == ERROR_TYPE_WARNING:
			return
		lock.lock()
		errors.append("%s (%s:%d)" % [rationale if rationale else code, file.get_file(), line])
		lock.unlock()

	func take() -> PackedStringArray:
		lock.lock()
		var taken := errors.duplicate()
		errors.clear()
		lock.unlock()
		return taken


func _ready() -> void:
	OS.add_logger(_log)
	_run.call_deferred()


func _process(_delta: float) -> void:
	if _name and Time.get_ticks_usec() - _started > DEADLINE_USEC:
		_fail("takes longer than %d s" % (DEADLINE_USEC / 1_000_000))
		for error in _log.take():
			_fail(error)
		_end()


func _run() -> void:
	var asked := OS.get_cmdline_user_args()
	var count := 0
	for file in FILES:
		if asked and not file in asked:
			continue
		var script: GDScript = load("res://%s.gd" % file)
		if not script.can_instantiate():
			_name = file
			_fail("cannot be loaded")
			continue
		for method in script.get_script_method_list():
			if method.name.begins_with("test_"):
				await _test(script, file, method.name)
				count += 1
	_name = ""
	print("%d tests, %d failures" % [count, _failed.size()])
	_end()


func _test(script: GDScript, file: String, method: String) -> void:
	_name = "%s.%s" % [file, method]
	_started = Time.get_ticks_usec()
	var before := _failed.size()
	var test: Node = script.new()
	test.failed.connect(_fail)
	add_child(test)
	_log.take()
	await test.call(method)
	var unexpected := _log.take()
	for expected: String in test.expected_errors:
		var found := -1
		for index in unexpected.size():
			if expected in unexpected[index]:
				found = index
				break
		if found < 0:
			_fail("no error says '%s'" % expected)
		else:
			unexpected.remove_at(found)
	for error in unexpected if not test.any_error_is_fine else []:
		_fail("error in the log: " + error)
	test.queue_free()
	await get_tree().process_frame
	var word := "ok  " if _failed.size() == before else "FAIL"
	print("%s %s (%.2f s)" % [word, _name, (Time.get_ticks_usec() - _started) / 1e6])


func _fail(why: String) -> void:
	print("     %s: %s" % [_name, why])
	_failed.append(_name)


func _end() -> void:
	set_process(false)
	get_tree().quit(1 if _failed else 0)
