using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>A few questions with what each form of the model made of them, side by side.</summary>
internal static class ExamplesSection
{
    public const string Id = "examples";
    public const string Title = "Examples";

    public static Html? Write(JsonObject report)
    {
        if (report["examples"] is not JsonArray { Count: > 0 } examples)
        {
            return null;
        }

        HashSet<string> forced = [.. examples.SelectMany(e => e!["answers"]!.AsObject().Select(a => a.Key)).Where(k => k.EndsWith(".sft", StringComparison.Ordinal)).Select(k => k[..^4])];
        Html body = new();
        foreach (JsonNode? example in examples)
        {
            body.Add($"<article class=\"example\"><p class=\"question\">{(string?)example!["question"]}</p><p class=\"expected\">Expected: {(string?)example["expected"]}</p><div class=\"answers\">\n");
            foreach ((string mode, JsonNode? answer) in example["answers"]!.AsObject().OrderBy(a => Order(a.Key)).ThenBy(a => a.Key, StringComparer.Ordinal))
            {
                bool right = answer!["right"]!.GetValue<bool>();
                body.Add($"<div><h4>{Name(mode, forced)} <span class=\"count\">{Page.Tokens(answer["tokens"].Number())}</span></h4>");
                if ((string?)answer["reasoning"] is { Length: > 0 } reasoning)
                {
                    body.Add($"<p class=\"reasoning\">{reasoning.Trim()}</p>");
                }

                string text = ((string?)answer["text"] ?? "").Trim();
                body.Add($"<p class=\"answer {(right ? "right" : "wrong")}\">{(text.Length > 0 ? text : "no answer")} {(right ? "✓ right" : "✗ wrong")}</p></div>\n");
            }

            body.Add($"</div></article>\n");
        }

        return Page.Section(Id, Title, new Html().Add($"Questions taken evenly from the evaluation data, not chosen by outcome."), body);
    }

    private static int Order(string mode) => mode == "base" ? 0 : mode.EndsWith(".sft", StringComparison.Ordinal) ? 1 : mode.EndsWith(".stated", StringComparison.Ordinal) ? 3 : 2;

    private static string Name(string mode, HashSet<string> forced) =>
        mode == "base" ? "base"
        : mode.EndsWith(".sft", StringComparison.Ordinal) ? $"{mode[..^4]} after SFT"
        : mode.EndsWith(".stated", StringComparison.Ordinal) ? $"{mode[..^7]} with the budget stated"
        : forced.Contains(mode) ? $"{mode} after budget forcing"
        : mode;
}
