using ModelSdk.Runtime.Bundles;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>What a layer needs besides tensors that take gradients.</summary>
/// <param name="Geometry">Batch.</param>
/// <param name="PastKeys">[B, KVH, P, h]; null without prompts.</param>
/// <param name="PastValues">[B, KVH, P, h]; null without prompts.</param>
/// <param name="Capture">Gets keys and values [B KVH, S, h], whose handles are freed when the layer ends; null: nobody asks.</param>
/// <param name="Recompute">True: the backward pass runs the layer forward once more instead of finding what it needs in memory.</param>
internal sealed record LayerCall(AttentionGeometry Geometry, Tensor? PastKeys, Tensor? PastValues, Action<Tensor, Tensor>? Capture = null, bool Recompute = false);

/// <summary>
/// One decoder layer as a single node of the graph, forward and backward written out: matrix products by Torch, all between them by
/// kernels that touch each value once. Equals <see cref="DecoderStack"/> (tested).
/// </summary>
internal sealed class FusedLayer : autograd.SingleTensorFunction<FusedLayer>
{
    private const string StateKey = "state";

    public override string Name => "decoder layer";

    /// <summary>x [B T, D] -> [B T, D]; [N, D] where rows are packed.</summary>
    public static Tensor Run(Tensor x, LayerWeights weights, LayerCall call)
    {
        object[] inputs = [x, .. Tensors(weights), weights, call];
        if (is_grad_enabled() && inputs.OfType<Tensor>().Any(t => t.requires_grad))
        {
            return apply(inputs);
        }

        using var activations = Forward(x.contiguous(), weights, call);
        return activations.Result;
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var call = (LayerCall)vars[^1];
        var state = new LayerState((Tensor)vars[0], (LayerWeights)vars[^2], call);
        var activations = Forward(state.X, state.Weights, call);
        if (call.Recompute)
        {
            activations.Dispose();
        }
        else
        {
            state.Activations = activations;
        }

        ctx.save_data(StateKey, state);
        return activations.Result;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var state = (LayerState)ctx.get_data(StateKey);
        using var scope = NewDisposeScope();
        var activations = state.Activations;
        if (activations is null)
        {
            activations = Forward(state.X, state.Weights, state.Call with { Capture = null });
            activations.Result.Dispose();
        }

        using (activations)
        {
            List<Tensor?> gradients = state.X.dtype == ScalarType.BFloat16 ? Backward<Bf16>(state, activations, grad_output) : Backward<Fp32>(state, activations, grad_output);
            foreach (var gradient in gradients)
            {
                gradient?.MoveToOuterDisposeScope();
            }

            gradients.AddRange([null, null]);
            return gradients!;
        }
    }

    /// <summary>Tensors of a layer in the order in which gradients are returned.</summary>
    private static IEnumerable<Tensor> Tensors(LayerWeights weights) =>
        ((LinearWeights[])[weights.Qkv, weights.Output, weights.GateUp, weights.Down]).SelectMany(l => ((Tensor?[])[l.Weight, l.Bias, l.LoraA, l.LoraB]).OfType<Tensor>());

    private static LayerActivations Forward(Tensor x, LayerWeights weights, LayerCall call) =>
        x.dtype == ScalarType.BFloat16 ? Forward<Bf16>(x, weights, call) : Forward<Fp32>(x, weights, call);

    private static LayerActivations Forward<T>(Tensor x, LayerWeights weights, LayerCall call)
        where T : IElement
    {
        var (geometry, config) = (call.Geometry, call.Geometry.Config);
        int tokens = geometry.Tokens, units = geometry.Rows * config.KeyValueHeads, lines = geometry.Group * geometry.Length;
        int d = config.HiddenSize, f = config.IntermediateSize, h = config.HeadSize;
        Tensor Empty(params long[] shape) => empty(shape, x.dtype);

        Tensor firstNormed = Empty(tokens, d), firstScales = empty([tokens], ScalarType.Float32);
        NormKernel.Forward<T>(x, null, firstNormed, firstScales, config.RmsNormEpsilon);
        var (qkv, qkvInner) = LowRank.Forward(weights.Qkv, firstNormed);                        // [B T, (H + 2 KVH) h]
        Tensor queries = Empty(units, lines, h), keys = Empty(units, geometry.Columns, h), values = Empty(units, geometry.Columns, h);
        HeadKernel.Split<T>(geometry, qkv, call.PastKeys, call.PastValues, queries, keys, values);
        qkv.Dispose();
        call.Capture?.Invoke(keys, values);
        using var keysT = keys.transpose(1, 2);
        var probabilities = bmm(queries, keysT);                                                // [B KVH, G T, S]
        SoftmaxKernel.Forward<T>(geometry, probabilities);
        using var mixed = bmm(probabilities, values);                                           // [B KVH, G T, h]
        var joined = Empty(tokens, config.QuerySize);
        HeadKernel.Transpose<T>(geometry, mixed, joined, toHeads: false);
        var (middle, outputInner) = LowRank.Forward(weights.Output, joined);                    // [B T, D], becomes x + attention

        Tensor secondNormed = Empty(tokens, d), secondScales = empty([tokens], ScalarType.Float32);
        NormKernel.Forward<T>(x, middle, secondNormed, secondScales, config.RmsNormEpsilon);
        var (gateUp, gateUpInner) = LowRank.Forward(weights.GateUp, secondNormed);              // [B T, 2 F]
        var product = Empty(tokens, f);
        SwiGluKernel.Forward<T>(gateUp, product);
        var (down, downInner) = LowRank.Forward(weights.Down, product);
        return new LayerActivations(down.add_(middle))                                          // [B T, D]
        {
            FirstNormed = firstNormed,
            FirstScales = firstScales,
            QkvInner = qkvInner,
            Queries = queries,
            Keys = keys,
            Values = values,
            Probabilities = probabilities,
            Joined = joined,
            OutputInner = outputInner,
            Middle = middle,
            SecondNormed = secondNormed,
            SecondScales = secondScales,
            GateUpInner = gateUpInner,
            GateUp = gateUp,
            Product = product,
            DownInner = downInner,
        };
    }

    private static List<Tensor?> Backward<T>(LayerState state, LayerActivations s, Tensor gradOutput)
        where T : IElement
    {
        var (geometry, config, weights) = (state.Call.Geometry, state.Call.Geometry.Config, state.Weights);
        var outer = gradOutput.contiguous();
        var own = geometry.Columns - geometry.Past;

        var (dProduct, dDown) = Linear(weights.Down, state.Needs.Down, outer, s.Product, s.DownInner);
        var dGateUp = empty_like(s.GateUp);
        SwiGluKernel.Backward<T>(dProduct!, s.GateUp, dGateUp);
        dProduct!.Dispose();
        var (dMiddle, dGateUpWeights) = Linear(weights.GateUp, state.Needs.GateUp, dGateUp, s.SecondNormed, s.GateUpInner);
        dGateUp.Dispose();
        NormKernel.Backward<T>(dMiddle!, s.Middle, s.SecondScales, outer, dMiddle!);            // now of the stream between the halves

        var (dJoined, dOutput) = Linear(weights.Output, state.Needs.Output, dMiddle!, s.Joined, s.OutputInner);
        var dMixed = empty_like(s.Queries);
        HeadKernel.Transpose<T>(geometry, dJoined!, dMixed, toHeads: true);
        var dScores = bmm(dMixed, s.Values.transpose(1, 2));                                    // [B KVH, G T, S]
        // Keys and values of prompts are constants: only the rows' own get gradients.
        var dValues = Columns(config, s.Probabilities.narrow(2, geometry.Past, own), dMixed);
        SoftmaxKernel.Backward<T>(geometry, s.Probabilities, dScores);
        var dQueries = bmm(dScores, s.Keys);
        var dKeys = Columns(config, dScores.narrow(2, geometry.Past, own), s.Queries);
        var dQkv = empty([geometry.Tokens, config.QuerySize + (2 * config.KeyValueSize)], state.X.dtype);
        HeadKernel.JoinGradients<T>(geometry, dQueries.contiguous(), dKeys.contiguous(), dValues.contiguous(), dQkv);
        var (dX, dQkvWeights) = Linear(weights.Qkv, state.Needs.Qkv, dQkv, s.FirstNormed, s.QkvInner, state.Needs.X);
        if (dX is not null)
        {
            NormKernel.Backward<T>(dX, state.X, s.FirstScales, dMiddle!, dX);
        }

        return [dX, .. dQkvWeights, .. dOutput, .. dGateUpWeights, .. dDown];
    }

    /// <summary>a^T b of each unit: a [U, lines, columns], b [U, lines, h] -> [U, columns, h].</summary>
    /// <remarks>As (b^T a)^T, which takes two thirds of the time because the wide matrix is not turned. Small bases keep the order, and so the bits, that was measured there.</remarks>
    private static Tensor Columns(TransformerConfig config, Tensor a, Tensor b) =>
        config.HiddenSize > Transformer.RectanglesUpTo ? bmm(b.transpose(1, 2), a).transpose(1, 2) : bmm(a.transpose(1, 2), b);

    /// <summary>Gradient of a linear's input, and of its tensors in the order of <see cref="Tensors"/>; null where none is needed.</summary>
    private static (Tensor? X, Tensor?[] Weights) Linear(LinearWeights linear, LinearNeeds needs, Tensor gradient, Tensor x, Tensor? inner, bool needsX = true)
    {
        var (dX, dA, dB) = LowRank.Backward(linear, gradient, x, inner, needsX, needs.Lora);
        List<Tensor?> found = [needs.Weight ? gradient.t().mm(x) : null];
        if (linear.Bias is not null)
        {
            found.Add(needs.Bias ? gradient.sum([0]) : null);
        }

        if (linear.LoraA is not null)
        {
            found.AddRange([dA, dB]);
        }

        return (dX, [.. found]);
    }

    /// <summary>Which tensors of a linear take gradients.</summary>
    private readonly record struct LinearNeeds(bool Weight, bool Bias, bool Lora)
    {
        public static LinearNeeds Of(LinearWeights l) => new(l.Weight.requires_grad, l.Bias?.requires_grad ?? false, l.LoraA?.requires_grad ?? false);
    }

    /// <summary>What the backward pass starts from. Outlives dispose scopes, as the graph does; the backward pass frees it.</summary>
    private sealed class LayerState : IDisposable
    {
        public LayerState(Tensor x, LayerWeights weights, LayerCall call)
        {
            Needs = (x.requires_grad, LinearNeeds.Of(weights.Qkv), LinearNeeds.Of(weights.Output), LinearNeeds.Of(weights.GateUp), LinearNeeds.Of(weights.Down));
            // Aliases, because the caller's handles may go with their scope before the backward pass comes.
            static Tensor Keep(Tensor t) => t.alias().DetachFromDisposeScope();
            static LinearWeights KeepAll(LinearWeights l) => l with
            {
                Weight = Keep(l.Weight),
                Bias = l.Bias is null ? null : Keep(l.Bias),
                LoraA = l.LoraA is null ? null : Keep(l.LoraA),
                LoraB = l.LoraB is null ? null : Keep(l.LoraB),
            };
            X = Keep(x.contiguous());
            Weights = new LayerWeights(KeepAll(weights.Qkv), KeepAll(weights.Output), KeepAll(weights.GateUp), KeepAll(weights.Down));
            Call = call.Recompute
                ? call with { PastKeys = call.PastKeys is null ? null : Keep(call.PastKeys), PastValues = call.PastValues is null ? null : Keep(call.PastValues) }
                : call;
        }

        public LayerCall Call { get; }

        public LayerWeights Weights { get; }

        /// <summary>Which inputs take gradients; the aliases do not tell, as they are made without a graph.</summary>
        public (bool X, LinearNeeds Qkv, LinearNeeds Output, LinearNeeds GateUp, LinearNeeds Down) Needs { get; }

        public Tensor X { get; }

        /// <summary>Null: the backward pass makes them again.</summary>
        public LayerActivations? Activations { get; set; }

        public void Dispose()
        {
            X.Dispose();
            Activations?.Dispose();
            foreach (var tensor in Tensors(Weights))
            {
                tensor.Dispose();
            }

            if (Call.Recompute)
            {
                Call.PastKeys?.Dispose();
                Call.PastValues?.Dispose();
            }
        }
    }
}
