## What every file of tests stands on.
class_name Case
extends Node

signal failed(why: String)

## What the log has to say, each once, in any order.
var expected_errors: PackedStringArray = []

## Whether it may say anything.
var any_error_is_fine := false

static var server := OS.get_environment("SORTIE_TEST_SERVER")
static var server_tls := OS.get_environment("SORTIE_TEST_SERVER_TLS")
static var authority := OS.get_environment("SORTIE_TEST_CA")


func check(holds: bool, what: String) -> void:
	if not holds:
		failed.emit(what)


func equal(found: Variant, wanted: Variant, what: String) -> void:
	if typeof(found) != typeof(wanted) or found != wanted:
		failed.emit("%s is %s, not %s" % [what, var_to_str(found), var_to_str(wanted)])


## A client inside the tree, with these properties.
func client(properties := {}) -> SortieClient:
	var made := SortieClient.new()
	made.use_environment_proxy = false
	for name in properties:
		made.set(name, properties[name])
	add_child(made)
	return made


func request(path: String, properties := {}) -> SortieRequest:
	var made := SortieRequest.new()
	made.url = path if path.contains("://") else server + path
	for name in properties:
		made.set(name, properties[name])
	return made


## Submits a request and waits for its end.
func respond(by: SortieClient, what: SortieRequest) -> SortieResponse:
	if by.submit(what) != OK:
		failed.emit("%s is refused" % what.url)
		return SortieResponse.new()
	return await what.completed


func bytes(count: int) -> PackedByteArray:
	var made := PackedByteArray()
	made.resize(count)
	for index in mini(count, 4096):
		made[index] = (index * 7 + 3) % 256
	return made


## A file of the tests' own, which is not there.
func fresh_file(file_name: String) -> String:
	var path := "user://" + file_name
	for part in [path, path + ".sortie-part", path + ".sortie-resume"]:
		if FileAccess.file_exists(part):
			DirAccess.remove_absolute(part)
	return path


## Waits for frames until a condition holds.
func until(holds: Callable, what: String, seconds := 20.0) -> void:
	var deadline := Time.get_ticks_msec() + int(seconds * 1000)
	while not holds.call():
		if Time.get_ticks_msec() > deadline:
			failed.emit("not in time: " + what)
			return
		await get_tree().process_frame


func frames(count: int) -> void:
	for _frame in count:
		await get_tree().process_frame


## On Linux; elsewhere always 0.
func thread_count() -> int:
	return DirAccess.get_directories_at("/proc/self/task").size()
