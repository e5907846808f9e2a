using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

using ModelSdk.Manifest.Tests.Testing;

namespace ModelSdk.Manifest.Tests;

/// <summary>docs/manifest.md has every property, in the parser's order, with the schema's default.</summary>
public partial class DocumentationTests
{
    private static readonly string Page = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "docs", "manifest.md"));

    private static readonly JsonObject Schema = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "docs", "model.schema.json")))!.AsObject();

    public static TheoryData<string, string> Sections => new()
    {
        { "The manifest", "" },
        { "base", "properties/base/oneOf/1" },
        { "prompt", "properties/prompt" },
        { "quantization", "properties/quantization" },
        { "adapters", "properties/adapters/additionalProperties" },
        { "sft", "properties/adapters/additionalProperties/properties/sft" },
        { "budget", "properties/adapters/additionalProperties/properties/budget" },
        { "verifier", "properties/adapters/additionalProperties/properties/verifier" },
        { "switcher", "properties/switcher" },
        { "budgets", "properties/budgets/additionalProperties/oneOf/1" },
        { "answer", "properties/answer/oneOf/1" },
        { "grader", "properties/grader" },
        { "evaluation", "properties/evaluation" },
        { "gates", "properties/evaluation/properties/gates" },
        { "targets", "properties/targets/items" },
    };

    [Theory]
    [MemberData(nameof(Sections))]
    public void A_section_has_the_schemas_properties_and_defaults(string heading, string pointer)
    {
        JsonNode described = pointer.Split('/', StringSplitOptions.RemoveEmptyEntries)
            .Aggregate((JsonNode)Schema, (node, part) => node is JsonArray array ? array[int.Parse(part, System.Globalization.CultureInfo.InvariantCulture)]! : node[part]!);
        JsonObject properties = described["properties"]!.AsObject();
        string[] required = [.. described["required"]?.AsArray().Select(r => (string)r!) ?? []];
        var rows = Rows(heading);

        Assert.Equal(properties.Select(p => p.Key), rows.Select(r => r.Name));
        Assert.All(rows, row =>
        {
            Assert.NotEmpty(row.Type);
            Assert.True(row.Meaning.Length > 10, row.Name);
            Assert.Equal(required.Contains(row.Name), row.Default == "required");
            if (properties[row.Name]!.AsObject().TryGetPropertyValue("default", out JsonNode? published))
                Assert.Equal(published?.ToJsonString() ?? "null", JsonNode.Parse(row.Default.Trim('`'))?.ToJsonString() ?? "null");
        });
    }

    [Fact]
    public void The_pages_examples_are_valid_manifests()
    {
        MatchCollection examples = Example().Matches(Page);

        Assert.True(examples.Count >= 2);
        Assert.All(examples.Select(e => e.Groups[1].Value).Where(e => !e.Contains("formatVersion", StringComparison.Ordinal)), text => Samples.Parse(text));
    }

    [Fact]
    public void The_pages_names_are_mapped_as_it_says()
    {
        string table = Page[Page.IndexOf("| written | member |", StringComparison.Ordinal)..];
        MatchCollection rows = Mapping().Matches(table[..table.IndexOf("\n\n", StringComparison.Ordinal)]);

        Assert.True(rows.Count >= 4);
        Assert.All(rows, row => Assert.Equal(row.Groups[2].Value, CSharpNames.ToIdentifier(row.Groups[1].Value)));
    }

    private static List<(string Name, string Type, string Default, string Meaning)> Rows(string heading)
    {
        int start = Page.IndexOf($"\n### {heading}\n", StringComparison.Ordinal);
        Assert.True(start >= 0, heading);
        string section = Page[(start + 1)..];
        int end = section.IndexOf("\n#", StringComparison.Ordinal);
        return [.. section[..(end < 0 ? section.Length : end)]
            .Split('\n')
            .Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(line => CellBorder().Split(line).Select(cell => cell.Trim().Replace("\\|", "|", StringComparison.Ordinal)).ToArray())
            .Select(cells => (cells[1].Trim('`'), cells[2], cells[3], cells[5]))];
    }

    [GeneratedRegex(@"(?<!\\)\|")]
    private static partial Regex CellBorder();

    [GeneratedRegex("```json\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Example();

    [GeneratedRegex(@"^\| `(.+)` \| `(.+)` \|$", RegexOptions.Multiline)]
    private static partial Regex Mapping();
}
