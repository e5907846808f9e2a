namespace ModelSdk.Runtime.Text;

/// <summary>The chat templates that are recognised, as the models' tokenizer_config.json spell them (Qwen2 and Qwen2.5 are published under Apache-2.0).</summary>
internal static class KnownChatTemplates
{
    /// <summary>Qwen2.5. DEFAULT stands for the system text, which differs between Instruct and base models.</summary>
    public const string Qwen25 = """"
        {%- if tools %}
            {{- '<|im_start|>system\n' }}
            {%- if messages[0]['role'] == 'system' %}
                {{- messages[0]['content'] }}
            {%- else %}
                {{- 'DEFAULT' }}
            {%- endif %}
            {{- "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
            {%- for tool in tools %}
                {{- "\n" }}
                {{- tool | tojson }}
            {%- endfor %}
            {{- "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
        {%- else %}
            {%- if messages[0]['role'] == 'system' %}
                {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
            {%- else %}
                {{- '<|im_start|>system\nDEFAULT<|im_end|>\n' }}
            {%- endif %}
        {%- endif %}
        {%- for message in messages %}
            {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
                {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
            {%- elif message.role == "assistant" %}
                {{- '<|im_start|>' + message.role }}
                {%- if message.content %}
                    {{- '\n' + message.content }}
                {%- endif %}
                {%- for tool_call in message.tool_calls %}
                    {%- if tool_call.function is defined %}
                        {%- set tool_call = tool_call.function %}
                    {%- endif %}
                    {{- '\n<tool_call>\n{"name": "' }}
                    {{- tool_call.name }}
                    {{- '", "arguments": ' }}
                    {{- tool_call.arguments | tojson }}
                    {{- '}\n</tool_call>' }}
                {%- endfor %}
                {{- '<|im_end|>\n' }}
            {%- elif message.role == "tool" %}
                {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
                    {{- '<|im_start|>user' }}
                {%- endif %}
                {{- '\n<tool_response>\n' }}
                {{- message.content }}
                {{- '\n</tool_response>' }}
                {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
                    {{- '<|im_end|>\n' }}
                {%- endif %}
            {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|im_start|>assistant\n' }}
        {%- endif %}
        """";

    /// <summary>Qwen2 with DEFAULT for the system text.</summary>
    public const string Qwen2 =
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nDEFAULT<|im_end|>\\n' }}{% endif %}" + Turns;

    /// <summary>ChatML without a system text of its own.</summary>
    public const string ChatMl = "{% for message in messages %}" + Turns;

    /// <summary>A line that older ChatML templates begin with; it changes nothing.</summary>
    public const string ChatMlPrelude = "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}";

    /// <summary>System text of Qwen2.5-Instruct.</summary>
    public const string Qwen25System = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

    /// <summary>System text of Qwen2-Instruct and of the Qwen2.5 base models.</summary>
    public const string Qwen2System = "You are a helpful assistant.";

    private const string Turns =
        "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    /// <summary>Recognises a template by its text. Null where it is unknown.</summary>
    public static ChatTemplate? Recognise(string template)
    {
        string text = Canonical(template);
        foreach (string system in (ReadOnlySpan<string>)[Qwen25System, Qwen2System])
        {
            if (text == Canonical(Qwen25.Replace("DEFAULT", system, StringComparison.Ordinal)))
                return new ChatTemplate(system);
        }

        if (text == Canonical(Qwen2.Replace("DEFAULT", Qwen2System, StringComparison.Ordinal)))
            return new ChatTemplate(Qwen2System);
        return text == Canonical(ChatMl) || text == Canonical(ChatMlPrelude + ChatMl) ? new ChatTemplate(defaultSystem: null) : null;
    }

    /// <summary>Levels what does not change the rendering: a line break may be written as such or as \n within Jinja's texts, and the template's last one is dropped.</summary>
    private static string Canonical(string template) =>
        template.Replace("\r\n", "\n", StringComparison.Ordinal).Replace("\\n", "\n", StringComparison.Ordinal).Trim('\n');
}
