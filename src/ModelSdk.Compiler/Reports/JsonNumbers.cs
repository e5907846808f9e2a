using System.Globalization;
using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Reports;

/// <summary>Reads numbers from a report's nodes, whatever CLR type made them.</summary>
internal static class JsonNumbers
{
    /// <summary>The number that the node writes.</summary>
    public static double Number(this JsonNode? node) => double.Parse(node!.ToJsonString(), CultureInfo.InvariantCulture);

    /// <summary>The numbers of an array.</summary>
    public static double[] Numbers(this JsonNode? node) => [.. node!.AsArray().Select(Number)];
}
