using ModelSdk.Onnx.Protobuf;
using ModelSdk.Runtime.Kernels;
using static ModelSdk.Onnx.Graphs.OnnxGraph;

namespace ModelSdk.Onnx.Graphs;

/// <summary>
/// A quantized linear with its adapter as one node, W x + bias + B (A x): an operator of our own whose body are standard nodes, as ONNX's model-local functions have it.
/// ONNX Runtime puts the body in its place; sessions with <see cref="AdaptedLinearOperator"/> compute it at once.
/// </summary>
internal static class AdaptedLinear
{
    /// <summary>Modules that one linear may consist of: q, k and v.</summary>
    private const int MostModules = 3;

    private static readonly FunctionProto[] Functions = [.. Enumerable.Range(1, MostModules).Select(Function)];

    /// <summary>Adds the node.</summary>
    /// <param name="graph">Receives it, and its body.</param>
    /// <param name="name">The node's name and its output's.</param>
    /// <param name="weight">The linear: its node as it is without an adapter.</param>
    /// <param name="lora">The adapter's constants.</param>
    /// <param name="level">accuracy_level of the adapter's products.</param>
    public static string Add(OnnxGraph graph, string name, NodeProto weight, AdapterLinear lora, int level)
    {
        graph.Function(Functions[lora.B.Length - 1]);
        string[] bias = weight.Input.Count > 5 ? [weight.Input[5]] : [""];
        List<AttributeProto> attributes =
        [
            .. weight.Attribute,
            Int("lora_accuracy_level", level), Int("lora_rank", lora.B[0].Columns), Int("lora_A_rows", lora.A.Rows), Int("lora_A_block", lora.A.Block), Int("lora_B_block", lora.B[0].Block),
            .. lora.B.Select((b, i) => Int($"rows_{i}", b.Rows)),
        ];
        return graph.Node(AdaptedLinearOperator.Names[lora.B.Length - 1], AdaptedLinearOperator.DomainName, name,
            [weight.Input[0], weight.Input[1], weight.Input[2], .. bias, .. graph.External(lora.A), .. lora.B.SelectMany(graph.External)], [.. attributes]);
    }

    /// <summary>The body: A x of all modules at once, split, B times each part, and the sum.</summary>
    private static FunctionProto Function(int modules)
    {
        var function = new FunctionProto
        {
            Name = AdaptedLinearOperator.Names[modules - 1],
            Domain = AdaptedLinearOperator.DomainName,
            DocString = "Y = W X + bias + B (A X); W, A and B as MatMulNBits has them, A of all modules on top of each other, B of each for itself.",
        };
        function.Input.AddRange(["X", "W", "W_scales", "bias", "A", "A_scales"]);
        function.Output.Add("Y");
        function.Attribute.AddRange(["N", "K", "bits", "block_size", "accuracy_level", "lora_accuracy_level", "lora_rank", "lora_A_rows", "lora_A_block", "lora_B_block"]);
        Import(function.OpsetImport);
        function.Node.Add(Product("main", ["X", "W", "W_scales", "", "", "bias"], "N", "K", Same("bits"), "block_size", "accuracy_level"));
        function.Node.Add(Product("down", ["X", "A", "A_scales"], "lora_A_rows", "K", Int("bits", 8), "lora_A_block", "lora_accuracy_level"));
        if (modules > 1)
            function.Node.Add(Node("Split", "", ["down"], [.. Modules(modules, "down")], Int("axis", -1), Int("num_outputs", modules)));
        for (int i = 0; i < modules; i++)
        {
            function.Input.AddRange([$"B_{i}", $"B_{i}_scales"]);
            function.Attribute.Add($"rows_{i}");
            function.Node.Add(Product(modules > 1 ? $"up_{i}" : "up", [modules > 1 ? $"down_{i}" : "down", $"B_{i}", $"B_{i}_scales"], $"rows_{i}", "lora_rank", Int("bits", 8), "lora_B_block", "lora_accuracy_level"));
        }

        if (modules > 1)
            function.Node.Add(Node("Concat", "", [.. Modules(modules, "up")], ["up"], Int("axis", -1)));
        function.Node.Add(Node("Add", "", ["main", "up"], ["Y"]));
        return function;
    }

    private static NodeProto Product(string output, string[] inputs, string rows, string columns, AttributeProto bits, string block, string level) =>
        Node("MatMulNBits", Contrib, inputs, [output], Same("N", rows), Same("K", columns), bits, Same("block_size", block), Same("accuracy_level", level));

    private static IEnumerable<string> Modules(int modules, string name) => Enumerable.Range(0, modules).Select(i => $"{name}_{i}");

    private static AttributeProto Same(string name) => Same(name, name);

    /// <summary>An attribute with the value of one of the function's.</summary>
    private static AttributeProto Same(string name, string of) => new() { Name = name, RefAttrName = of, Type = AttributeProto.Types.AttributeType.Int };
}
