## What the README shows works as it stands there.
extends Case


func test_the_first_block() -> void:
	var text := FileAccess.get_file_as_string(OS.get_environment("SORTIE_README"))
	var block := text.get_slice("```gdscript\n", 1).get_slice("```", 0)
	check(block.begins_with("extends Node"), "a block: " + block)
	check("https://example.com/" in block, "an address")
	var script := GDScript.new()
	# The one thing that tests do not do is to leave the machine.
	script.source_code = block.replace("https://example.com/", server + "/status/200?body=hello&x=")
	equal(script.reload(), OK, "it compiles")
	var node: Node = script.new()
	add_child(node)
	await until(func() -> bool: return node.get_child_count() > 0, "it has a client")
	var by: SortieClient = node.get_child(0)
	var seen := []
	by.request_completed.connect(func(_request: SortieRequest, response: SortieResponse) -> void: seen.append(response.text))
	await until(func() -> bool: return seen.size() == 1, "it is answered")
	equal(seen, ["hello"], "the answer")
	node.queue_free()
