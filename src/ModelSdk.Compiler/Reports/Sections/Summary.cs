using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>The top of the page: what the model is, and its figures, to be understood in ten seconds.</summary>
internal static class Summary
{
    public static Html Write(JsonObject report)
    {
        Html html = new();
        html.Add($"<p class=\"kind\">Model report</p>\n<h1>{(string?)report["name"]}</h1>\n<p class=\"lead\">{Sentence(report)}</p>\n<dl class=\"tiles\">\n");
        foreach ((string name, string value, string note, bool? good) in Tiles(report))
        {
            html.Add($"<div><dt>{name}</dt><dd class=\"figure{(good switch { true => " right", false => " wrong", _ => "" })}\">{value}</dd><dd class=\"note\">{note}</dd></div>\n");
        }

        return html.Add($"</dl>\n");
    }

    private static string Sentence(JsonObject report)
    {
        string text = report["model"] is JsonObject model
            ? $"A {Page.Number(model["parameters"].Number() / 1e6, 1)}-million-parameter {(string?)model["type"]} base in {(string?)model["weights"]}"
            : "A base";
        int adapters = report["sizes"]?["adapterBytes"]?.AsObject().Count ?? 0;
        text += adapters switch { 0 => "", 1 => " with one reasoning mode", _ => $" with {adapters} reasoning modes" };
        if (report["switcher"] is not null)
        {
            text += ", a switcher that decides when to reason";
        }

        if (report["verifier"] is not null)
        {
            text += report["switcher"] is null ? ", and a verifier that weighs votes" : " and a verifier that weighs votes";
        }

        return text + (report["evaluation"] is JsonObject evaluation
            ? $". Measured on {Page.Number(evaluation["base"]!["examples"].Number())} questions that no training saw."
            : ". The manifest names no evaluation data, so nothing was measured.");
    }

    private static IEnumerable<(string Name, string Value, string Note, bool? Good)> Tiles(JsonObject report)
    {
        if (report["evaluation"] is JsonObject evaluation)
        {
            string mode = evaluation["deployedMode"]!.GetValue<string>();
            JsonNode deployed = evaluation["deployed"]!;
            bool reasons = mode != "base";
            yield return (
                "Right answers",
                reasons ? $"{Page.Percent(evaluation["base"]!["accuracy"].Number())} → {Page.Percent(deployed["accuracy"].Number())}" : Page.Percent(deployed["accuracy"].Number()),
                reasons ? $"from the base answering directly to {mode}" : "the base, answering directly",
                null);
            JsonNode? stated = evaluation["adapters"]?[mode]?["budgetStated"] is JsonObject { } both && both["budgetForced"] is not null ? both : null;
            JsonNode? before = stated?["sft"] ?? evaluation["adapters"]?[mode]?["sft"];
            JsonNode? after = stated?["budgetForced"] ?? evaluation["adapters"]?[mode]?["budget"];
            yield return before is not null && after is not null
                ? (
                    "Tokens an answer",
                    $"{Page.Number(before["meanTokens"].Number())} → {Page.Number(after["meanTokens"].Number())}",
                    $"{Page.Number(before["meanTokens"].Number() / Math.Max(after["meanTokens"].Number(), 1e-9), 1)} times shorter by budget forcing{(stated is null ? "" : $", {Page.Number(stated["budget"].Number())} tokens allowed")}",
                    null)
                : ("Tokens an answer", Page.Number(deployed["meanTokens"].Number()), reasons ? "with its reasoning" : "", null);
        }

        if (report["parallel"] is JsonArray { Count: > 1 } votes)
        {
            JsonNode last = votes.MaxBy(v => v!["streams"].Number())!;
            yield return (
                "By vote",
                $"{Page.Percent(last["single"].Number())} → {Page.Percent((last["weighted"] ?? last["majority"]).Number())}",
                $"from one stream to the vote of {Page.Number(last["streams"].Number())}",
                null);
        }

        if (report["switcher"] is JsonObject switcher)
        {
            yield return ("Switcher", Page.Number(switcher["auc"].Number(), 3), "area under its curve: 1 tells easy from hard, 0.5 guesses", null);
        }

        yield return ("Size", Page.Bytes(report["sizes"]!["bundleBytes"].Number()), "all files of the bundle", null);
        if (report["gates"] is JsonArray { Count: > 0 } gates)
        {
            int passed = gates.Count(g => g!["passed"]!.GetValue<bool>());
            yield return (
                "Gates",
                passed == gates.Count ? $"✓ {passed} of {gates.Count}" : $"✗ {gates.Count - passed} failed",
                passed == gates.Count ? "of the manifest's conditions hold" : $"of {gates.Count} conditions of the manifest",
                passed == gates.Count);
        }
    }
}
