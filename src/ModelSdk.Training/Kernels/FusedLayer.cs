using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>What a layer needs besides tensors that take gradients.</summary>
/// <param name="Geometry">Batch.</param>
/// <param name="PastKeys">[B, KVH, P, h]; null without prompts.</param>
/// <param name="PastValues">[B, KVH, P, h]; null without prompts.</param>
/// <param name="Capture">Gets keys and values [B KVH, S, h], whose handles are freed when the layer ends; null: nobody asks.</param>
internal sealed record LayerCall(AttentionGeometry Geometry, Tensor? PastKeys, Tensor? PastValues, Action<Tensor, Tensor>? Capture = null);

/// <summary>
/// One decoder layer as a single node of the graph, forward and backward written out: matrix products by Torch, all between them by
/// kernels that touch each value once. Equals <see cref="DecoderStack"/> (tested).
/// </summary>
internal sealed class FusedLayer : autograd.SingleTensorFunction<FusedLayer>
{
    private const string StateKey = "state";

    public override string Name => "decoder layer";

    /// <summary>x [B T, D] -> [B T, D].</summary>
    public static Tensor Run(Tensor x, LayerWeights weights, LayerCall call)
    {
        object[] inputs = [x, weights.Qkv.Weight, weights.Qkv.Bias!, weights.Output.Weight, weights.GateUp.Weight, weights.Down.Weight, call];
        if (is_grad_enabled() && inputs.OfType<Tensor>().Any(t => t.requires_grad))
        {
            return apply(inputs);
        }

        using var state = Forward(inputs);
        return state.Result;
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var state = Forward(vars);
        ctx.save_data(StateKey, state);
        return state.Result;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var state = (LayerState)ctx.get_data(StateKey);
        return state.X.dtype == ScalarType.BFloat16 ? Backward<Bf16>(state, grad_output) : Backward<Fp32>(state, grad_output);
    }

    private static LayerState Forward(object[] vars)
    {
        var inputs = vars.Take(6).Cast<Tensor>().ToArray();
        return inputs[0].dtype == ScalarType.BFloat16 ? Forward<Bf16>(inputs, (LayerCall)vars[6]) : Forward<Fp32>(inputs, (LayerCall)vars[6]);
    }

    private static LayerState Forward<T>(Tensor[] inputs, LayerCall call)
        where T : IElement
    {
        var (geometry, config) = (call.Geometry, call.Geometry.Config);
        int tokens = geometry.Rows * geometry.Length, units = geometry.Rows * config.KeyValueHeads, lines = geometry.Group * geometry.Length;
        int d = config.HiddenSize, f = config.IntermediateSize, h = config.HeadSize;
        var x = inputs[0].contiguous();
        Tensor Empty(params long[] shape) => empty(shape, x.dtype);

        Tensor firstNormed = Empty(tokens, d), firstScales = empty([tokens], ScalarType.Float32);
        NormKernel.Forward<T>(x, null, firstNormed, firstScales, config.RmsNormEpsilon);
        using var qkv = nn.functional.linear(firstNormed, inputs[1], inputs[2]);                 // [B T, (H + 2 KVH) h]
        Tensor queries = Empty(units, lines, h), keys = Empty(units, geometry.Columns, h), values = Empty(units, geometry.Columns, h);
        HeadKernel.Split<T>(geometry, qkv, call.PastKeys, call.PastValues, queries, keys, values);
        call.Capture?.Invoke(keys, values);
        using var keysT = keys.transpose(1, 2);
        var probabilities = bmm(queries, keysT);                                                // [B KVH, G T, S]
        SoftmaxKernel.Forward<T>(geometry, probabilities);
        using var mixed = bmm(probabilities, values);                                           // [B KVH, G T, h]
        var joined = Empty(tokens, config.QuerySize);
        HeadKernel.Transpose<T>(geometry, mixed, joined, toHeads: false);
        var middle = nn.functional.linear(joined, inputs[3]);                                   // [B T, D], becomes x + attention

        Tensor secondNormed = Empty(tokens, d), secondScales = empty([tokens], ScalarType.Float32);
        NormKernel.Forward<T>(x, middle, secondNormed, secondScales, config.RmsNormEpsilon);
        var gateUp = nn.functional.linear(secondNormed, inputs[4]);                             // [B T, 2 F]
        var product = Empty(tokens, f);
        SwiGluKernel.Forward<T>(gateUp, product);
        var result = nn.functional.linear(product, inputs[5]).add_(middle);                     // [B T, D]
        return new LayerState(geometry, inputs, x, firstNormed, firstScales, queries, keys, values, probabilities, joined, middle, secondNormed, secondScales, gateUp, product, result);
    }

    private static List<Tensor> Backward<T>(LayerState s, Tensor gradOutput)
        where T : IElement
    {
        using var scope = NewDisposeScope();
        var (geometry, config) = (s.Geometry, s.Geometry.Config);
        Tensor Empty(params long[] shape) => empty(shape, s.X.dtype);
        Tensor? Product(int input, Tensor gradient, Tensor operand) => s.Needs[input] ? gradient.t().mm(operand) : null;
        var outer = gradOutput.contiguous();

        var dProduct = outer.mm(s.Inputs[5]);                                                   // [B T, F]
        var dDown = Product(5, outer, s.Product);
        var dGateUp = empty_like(s.GateUp);
        SwiGluKernel.Backward<T>(dProduct, s.GateUp, dGateUp);
        var dMiddle = dGateUp.mm(s.Inputs[4]);                                                  // [B T, D], gradient of the norm's output
        var dGateUpWeight = Product(4, dGateUp, s.SecondNormed);
        NormKernel.Backward<T>(dMiddle, s.Middle, s.SecondScales, outer, dMiddle);              // now of the stream between the halves

        var dJoined = dMiddle.mm(s.Inputs[3]);                                                  // [B T, H h]
        var dOutput = Product(3, dMiddle, s.Joined);
        var dMixed = empty_like(s.Queries);
        HeadKernel.Transpose<T>(geometry, dJoined, dMixed, toHeads: true);
        var dScores = bmm(dMixed, s.Values.transpose(1, 2));                                    // [B KVH, G T, S]
        var dValues = bmm(s.Probabilities.transpose(1, 2), dMixed);
        SoftmaxKernel.Backward<T>(geometry, s.Probabilities, dScores);
        var dQueries = bmm(dScores, s.Keys);
        var dKeys = bmm(dScores.transpose(1, 2), s.Queries);
        var dQkv = Empty(s.X.shape[0], config.QuerySize + (2 * config.KeyValueSize));
        HeadKernel.JoinGradients<T>(geometry, dQueries.contiguous(), dKeys.contiguous(), dValues.contiguous(), dQkv);
        var dQkvWeight = Product(1, dQkv, s.FirstNormed);
        var dBias = s.Needs[2] ? dQkv.sum([0]) : null;
        Tensor? dX = null;
        if (s.Needs[0])
        {
            dX = dQkv.mm(s.Inputs[1]);
            NormKernel.Backward<T>(dX, s.X, s.FirstScales, dMiddle, dX);
        }

        List<Tensor?> gradients = [dX, dQkvWeight, dBias, dOutput, dGateUpWeight, dDown, null];
        foreach (var gradient in gradients)
        {
            gradient?.MoveToOuterDisposeScope();
        }

        return gradients!;
    }

    /// <summary>What the backward pass reads again. Outlives dispose scopes, as the graph does; the backward pass frees it.</summary>
    private sealed class LayerState : IDisposable
    {
        private readonly Tensor[] _owned;

        public LayerState(AttentionGeometry geometry, Tensor[] inputs, Tensor x, Tensor firstNormed, Tensor firstScales, Tensor queries, Tensor keys, Tensor values, Tensor probabilities, Tensor joined, Tensor middle, Tensor secondNormed, Tensor secondScales, Tensor gateUp, Tensor product, Tensor result)
        {
            (Geometry, Result) = (geometry, result);
            Needs = [.. inputs.Select(t => t.requires_grad)];
            // Aliases, because the caller's handles may go with their scope before the backward pass comes.
            Inputs = [.. inputs.Select(t => t.alias())];
            (X, FirstNormed, FirstScales, Queries, Keys, Values) = (ReferenceEquals(x, inputs[0]) ? x.alias() : x, firstNormed, firstScales, queries, keys, values);
            (Probabilities, Joined, Middle, SecondNormed, SecondScales, GateUp, Product) = (probabilities, joined, middle, secondNormed, secondScales, gateUp, product);
            _owned = [.. Inputs, X, firstNormed, firstScales, queries, keys, values, probabilities, joined, middle, secondNormed, secondScales, gateUp, product];
            foreach (var tensor in _owned)
            {
                tensor.DetachFromDisposeScope();
            }
        }

        public AttentionGeometry Geometry { get; }

        public Tensor[] Inputs { get; }

        /// <summary>Which inputs take gradients; the aliases do not tell, as they are made without a graph.</summary>
        public bool[] Needs { get; }

        public Tensor X { get; }

        public Tensor FirstNormed { get; }

        public Tensor FirstScales { get; }

        public Tensor Queries { get; }

        public Tensor Keys { get; }

        public Tensor Values { get; }

        public Tensor Probabilities { get; }

        public Tensor Joined { get; }

        public Tensor Middle { get; }

        public Tensor SecondNormed { get; }

        public Tensor SecondScales { get; }

        public Tensor GateUp { get; }

        public Tensor Product { get; }

        public Tensor Result { get; }

        public void Dispose()
        {
            foreach (var tensor in _owned)
            {
                tensor.Dispose();
            }
        }
    }
}
